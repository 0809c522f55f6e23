"""Run a semantic segmentation network: one mask for each class and region.

A region is a connected set of pixels with the same best class. Its probabilities are averaged over
the region, so an uncertain region has a low score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask
from trainer.engines.letterbox import inner_size, letterbox
from trainer.engines.limits import at_most
from trainer.engines.runtime import open_session
from trainer.errors import BundleError

_LEAST = 16  # input pixels: smaller regions are less than a cell of the network's grid
_Float = NDArray[np.float32]


@dataclass(frozen=True)
class SemanticDetector:
    """The Detector of one bundle; see trainer.detector.Detector.

    most: regions per frame, if the card sets a limit.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    session: Any
    most: int | None = None

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; probabilities of all classes are averaged over the region."""
        if not images:
            return []
        batch = np.stack([letterbox(image, self.input_size)[0] for image in images])
        given = np.ascontiguousarray(batch.transpose(0, 3, 1, 2), np.float32)
        maps, embeddings = self.session.run(None, {"images": given})
        return [
            self._read(maps[n], embeddings[n], (image.shape[0], image.shape[1]), min_score)
            for n, image in enumerate(images)
        ]

    def _read(
        self, maps: _Float, embedding: _Float, size: tuple[int, int], min_score: float
    ) -> Detections:
        height, width = inner_size(size, self.input_size)
        maps = maps[:, :height, :width]
        regions, rows = regions_of(
            best_classes(maps, size), _LEAST * size[0] * size[1] / maps[0].size
        )
        means = _means(maps, regions, len(rows))
        class_ids = rows[:, 0] - 1
        scores = np.clip(means[np.arange(len(rows)), rows[:, 0]], 0, 1)
        keep = np.flatnonzero(scores >= min_score)
        keep = keep[np.argsort(-scores[keep], kind="stable")]
        keep = keep[at_most(scores[keep], self.most)]
        left, top, wide, high = rows[keep, 1:].T
        return Detections(
            boxes=np.stack([left, top, left + wide, top + high], axis=1).astype(np.float32),
            scores=scores[keep].astype(np.float32),
            class_ids=class_ids[keep].astype(np.int64),
            probabilities=np.clip(means[keep, 1:], 0, 1).astype(np.float32),
            masks=tuple(
                Mask(regions[t : t + h, x : x + w] == n + 1, int(x), int(t))
                for n, x, t, w, h in zip(keep, left, top, wide, high, strict=True)
            ),
            embedding=embedding.astype(np.float32),
            head="softmax",
        )


def load(bundle: Bundle, *, threads: int | None = None) -> SemanticDetector:
    """Load the bundle's ONNX file; BundleError when its classes differ from the card's."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    shape = session.get_outputs()[0].shape
    if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != len(card.labels) + 1):
        raise BundleError(
            bundle.path,
            f"probabilities of {len(card.labels)} classes and the background, (B, 1 + C, H, W)",
            str(shape),
        )
    return SemanticDetector(card.labels, card.input_size, session, card.extra.get("most"))


def best_classes(maps: _Float, size: tuple[int, int]) -> NDArray[np.int16]:
    """Return the best class of every pixel of the image, (height, width) = size.

    maps: (1 + C, h, w) probabilities of the whole image, background first. They are enlarged one by
    one, keeping the best, so that memory does not grow with the number of classes.
    """
    best, found = np.full(size, -1, np.float32), np.zeros(size, np.int16)
    # A class can only be the best if its maximum is high enough.
    for class_id in np.flatnonzero(maps.max(axis=(1, 2)) >= 1 / len(maps) - 1e-6):
        large = cv2.resize(maps[class_id], size[::-1], interpolation=cv2.INTER_LINEAR)
        wins = large > best
        best[wins], found[wins] = large[wins], class_id
    return found


def regions_of(
    classes: NDArray[np.int16], least: float
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the region of every pixel, from 1 (0 for none), and a row for each region.

    classes: (H, W), 0 the background. least: regions with fewer pixels are dropped. Rows: class,
    left, top, width, height.
    """
    found, rows = np.zeros(classes.shape, np.int32), []
    for class_id in np.unique(classes[classes > 0]):
        _, parts, stats, _ = cv2.connectedComponentsWithStats(
            (classes == class_id).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
        )
        numbers = np.zeros(len(stats), np.int32)
        for part in range(1, len(stats)):
            if stats[part, cv2.CC_STAT_AREA] >= least:
                rows.append([class_id, *stats[part, :4]])
                numbers[part] = len(rows)
        found += numbers[parts]
    return found, np.array(rows, np.int64).reshape(-1, 5)


def _means(maps: _Float, regions: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Return the mean of every map over each region, (count, 1 + C), at the maps' size."""
    height, width = maps.shape[1:]
    ys = ((np.arange(height) + 0.5) * regions.shape[0] / height).astype(int)
    xs = ((np.arange(width) + 0.5) * regions.shape[1] / width).astype(int)
    small = regions[ys[:, None], xs]
    pixels = np.bincount(small.ravel(), minlength=count + 1)[1:]
    sums = [
        np.bincount(small.ravel(), weights=values.ravel(), minlength=count + 1)[1:]
        for values in maps
    ]
    means = np.stack(sums, axis=1) / np.maximum(pixels, 1)[:, None]
    for n in np.flatnonzero(pixels == 0):  # thinner than a pixel there: use the nearest
        y, x = np.argwhere(regions == n + 1)[0]
        means[n] = maps[:, y * height // regions.shape[0], x * width // regions.shape[1]]
    return np.asarray(means)
