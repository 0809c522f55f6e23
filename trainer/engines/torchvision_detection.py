"""Run torchvision's detectors: ONNX Runtime up to candidates, numpy for their selection.

The selection follows torchvision (roi_heads.py, retinanet.py, fcos.py): candidates above a score,
for dense networks the best of each level, NMS within a class, the best overall.
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
from trainer.engines.limits import FLOOR, TAIL, at_most
from trainer.engines.runtime import open_session
from trainer.engines.suppress import suppress
from trainer.errors import BundleError

_LEAST_SIDE = 0.01  # input pixels: smaller boxes are dropped, as in torchvision
_CANDIDATES = 5000  # pairs of box and class, when every candidate is requested
_SHARE = 0.5  # mask probability from which a pixel belongs to the object
_MEAN = (
    np.array([0.485, 0.456, 0.406], np.float32) * 255
)  # ImageNet's mean, zero after normalisation
_Float = NDArray[np.float32]


@dataclass(frozen=True)
class TorchvisionDetector:
    """The Detector of one bundle; see trainer.detector.Detector.

    iou: NMS threshold within a class. most: objects per frame; if the card sets none, only very low
    scores are dropped. levels: candidates per level of a dense network, a_level: how many of them
    are considered; none for R-CNN. linear: resize and pad like torchvision, for weights trained by
    it; else like trainer.backends, which preserves more detail when downscaling.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    iou: float
    most: int | None
    levels: tuple[int, ...]
    a_level: int
    session: Any
    masks: Any | None = None
    linear: bool = False

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; probabilities are those of all classes of the object."""
        return [self._one(image, min_score) for image in images]

    def _one(self, image: RGBImage, min_score: float) -> Detections:
        pixels, inner, scale = self._fitted(image)
        batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        given = {"images": batch}
        if len(self.session.get_inputs()) > 1:  # earlier bundles have no limits input
            given["limits"] = np.array(inner, np.float32)
        boxes, probabilities, embedding, *maps = self.session.run(None, given)
        rows, class_ids = self._candidates(probabilities, min_score)
        corners = boxes[rows, class_ids if boxes.shape[1] > 1 else 0]
        if not self.levels:  # dense networks count them, and they are dropped below
            large = (corners[:, 2:] - corners[:, :2] >= _LEAST_SIDE).all(axis=1)
            rows, class_ids, corners = rows[large], class_ids[large], corners[large]
        scores = probabilities[rows, class_ids]
        keep = suppress(corners, class_ids, same=self.iou, most=TAIL, scores=scores)
        keep = keep[at_most(scores[keep], self.most)]
        rows, class_ids, corners = rows[keep], class_ids[keep], corners[keep]
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height])
        placed = np.clip(corners / scale, 0, limits).astype(np.float32)
        # A box may lie on the padding, outside the image.
        inside = np.flatnonzero((placed[:, 2:] > placed[:, :2]).all(axis=1))
        drawn = None
        if self.masks is not None:
            shares = self._shares(corners[inside], class_ids[inside], maps)
            found = [
                draw(share, corners[n] / scale, placed[n])
                for share, n in zip(shares, inside, strict=True)
            ]
            shown = [n for n, mask in enumerate(found) if mask.bitmap.any()]
            inside, drawn = inside[shown], tuple(found[n] for n in shown)
        rows, class_ids = rows[inside], class_ids[inside]
        return Detections(
            boxes=placed[inside],
            scores=np.clip(probabilities[rows, class_ids], 0, 1).astype(np.float32),
            class_ids=class_ids.astype(np.int64),
            probabilities=probabilities[rows].astype(np.float32),
            masks=drawn,
            embedding=embedding[0].astype(np.float32),
            # Dense networks have no background: the class probabilities are independent.
            head="sigmoid" if self.levels else "softmax",
        )

    def _fitted(self, image: RGBImage) -> tuple[RGBImage | _Float, tuple[int, int], _Float]:
        """Return the image in the input, (H, W, 3), the size of the image part, and the scale.

        The scale: input pixels per image pixel, (x y x y).
        """
        height, width = image.shape[:2]
        if not self.linear:
            pixels, scale = letterbox(image, self.input_size)
            inside = inner_size((height, width), self.input_size)
            return pixels, inside, np.full(4, scale, np.float32)
        # In 32 bits, as torchvision, so that the sides are rounded the same way.
        sides = np.array([self.input_size, (height, width)], np.float32)
        factor = float((sides[0] / sides[1]).min())
        inner = max(1, int(width * factor)), max(1, int(height * factor))
        canvas = np.full((*self.input_size, 3), _MEAN, np.float32)
        small = cv2.resize(image.astype(np.float32), inner, interpolation=cv2.INTER_LINEAR)
        canvas[: inner[1], : inner[0]] = small
        factors = np.array([inner[0] / width, inner[1] / height] * 2, np.float32)
        return canvas, (inner[1], inner[0]), factors

    def _candidates(
        self, probabilities: _Float, min_score: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of box and class, best first."""
        classes = probabilities.shape[1]
        scores = probabilities.ravel()
        kept = np.flatnonzero((scores >= min_score) & (scores > 0))
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        if self.levels:
            ends = np.cumsum(self.levels) * classes
            level = np.searchsorted(ends, kept, side="right")
            best = [np.flatnonzero(level == n)[: self.a_level] for n in range(len(ends))]
            kept = kept[np.sort(np.concatenate(best))]
        counted = int(np.count_nonzero(scores[kept] >= FLOOR))
        rows, class_ids = np.divmod(kept[: max(_CANDIDATES, counted)], classes)
        return rows, class_ids

    def _shares(self, corners: _Float, class_ids: NDArray[np.int64], maps: list[Any]) -> _Float:
        if self.masks is None or not len(corners):
            return np.zeros((0, 1, 1), np.float32)
        given = {f"feature{n}": values for n, values in enumerate(maps)}
        taken = {i.name for i in self.masks.get_inputs()}
        given = {name: value for name, value in given.items() if name in taken}
        (shares,) = self.masks.run(None, {"boxes": corners.astype(np.float32), **given})
        return np.asarray(shares[np.arange(len(corners)), class_ids], np.float32)


def load(bundle: Bundle, *, threads: int | None = None) -> TorchvisionDetector:
    """Load the bundle's ONNX files; BundleError when the classes differ from the card's."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    shape = session.get_outputs()[1].shape
    if len(shape) != 2 or (isinstance(shape[1], int) and shape[1] != len(card.labels)):
        raise BundleError(
            bundle.path, f"probabilities of {len(card.labels)} classes, (N, C)", str(shape)
        )
    masked = card.task == "masks"
    return TorchvisionDetector(
        labels=card.labels,
        input_size=card.input_size,
        iou=float(card.extra["iou"]),
        most=card.extra.get("most"),
        levels=tuple(int(n) for n in card.extra["levels"]),
        a_level=int(card.extra.get("a_level", _CANDIDATES)),
        session=session,
        masks=open_session(bundle.file("masks.onnx"), threads=threads) if masked else None,
        linear=card.extra.get("scaling") == "linear",
    )


def draw(share: _Float, box: _Float, placed: _Float) -> Mask:
    """Resample a mask (M, M) of a box to the image's resolution, clipped to the box.

    Like torchvision's paste_masks_in_image: pad the mask by a zero border, expand the box
    accordingly, round it to whole pixels, and resize the mask to it.
    """
    bordered = np.pad(share, 1)
    middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    half = half * np.float32(len(bordered) / len(share))
    (x1, y1), (x2, y2) = (corner.astype(np.int64) for corner in (middle - half, middle + half))
    size = max(1, int(x2 - x1 + 1)), max(1, int(y2 - y1 + 1))
    grown = cv2.resize(bordered, size, interpolation=cv2.INTER_LINEAR) >= _SHARE
    left, top = (int(v) for v in np.floor(placed[:2]))
    right, bottom = (int(v) for v in np.ceil(placed[2:]))
    canvas = np.zeros((bottom - top, right - left), np.bool_)
    inner = grown[max(0, top - y1) : bottom - y1, max(0, left - x1) : right - x1]
    row, column = max(0, int(y1) - top), max(0, int(x1) - left)
    canvas[row : row + inner.shape[0], column : column + inner.shape[1]] = inner
    return Mask(canvas, left, top)
