"""Runs a centernet bundle: ONNX Runtime for the network, numpy for reading its maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundle import Bundle
from trainer.detections import Detections
from trainer.engines.letterbox import letterbox
from trainer.engines.runtime import open_session
from trainer.engines.suppress import suppress
from trainer.images import RGBImage
from trainer.labels import LabelMap

MOST = 300  # objects a frame
SAME_CLASS_IOU = 0.6  # above it, two boxes of a class are one object
ANY_CLASS_IOU = 0.85  # above it, two boxes of any classes are one object
_FLOOR = 1e-4  # a candidate, even when every candidate is asked for


@dataclass(frozen=True)
class CenterNetDetector:
    """The detector of one bundle. See trainer.detector.Detector."""

    labels: LabelMap
    input_size: tuple[int, int]
    stride: int
    unit: float
    session: Any

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Answer every image; probabilities are the sigmoid of all classes at the peak."""
        if not images:
            return []
        fitted = [letterbox(image, self.input_size) for image in images]
        batch = np.stack([pixels for pixels, _ in fitted]).transpose(0, 3, 1, 2)
        heat, sizes, offsets, embedding = self.session.run(
            None, {"images": np.ascontiguousarray(batch, np.float32)}
        )
        return [
            self._read(
                _sigmoid(heat[n]), sizes[n], offsets[n], embedding[n], image, scale, min_score
            )
            for n, (image, (_, scale)) in enumerate(zip(images, fitted, strict=True))
        ]

    def _read(
        self,
        heat: NDArray[np.float32],
        sizes: NDArray[np.float32],
        offsets: NDArray[np.float32],
        embedding: NDArray[np.float32],
        image: RGBImage,
        scale: float,
        min_score: float,
    ) -> Detections:
        wanted = np.flatnonzero((_peaks(heat) & (heat >= max(min_score, _FLOOR))).ravel())
        order = np.argsort(-heat.ravel()[wanted], kind="stable")[: 4 * MOST]
        class_ids, rows, columns = np.unravel_index(wanted[order], heat.shape)
        scores = heat[class_ids, rows, columns]
        cx = (columns + 0.5 + offsets[0, rows, columns]) * self.stride
        cy = (rows + 0.5 + offsets[1, rows, columns]) * self.stride
        half = self.unit / 2 * np.exp(np.clip(sizes[:, rows, columns], -5, 5))
        corners = np.stack([cx - half[0], cy - half[1], cx + half[0], cy + half[1]], axis=1)
        height, width = image.shape[:2]
        limits = np.array([width, height, width, height])
        boxes = np.clip(corners / scale, 0, limits).astype(np.float32)
        whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        keep = np.flatnonzero(whole)
        keep = keep[
            suppress(boxes[keep], class_ids[keep], same=SAME_CLASS_IOU, other=ANY_CLASS_IOU)
        ]
        keep = keep[:MOST]
        return Detections(
            boxes=boxes[keep],
            scores=scores[keep].astype(np.float32),
            class_ids=class_ids[keep].astype(np.int64),
            probabilities=heat[:, rows[keep], columns[keep]].T.astype(np.float32),
            embedding=embedding.astype(np.float32),
        )


def load(bundle: Bundle, *, threads: int | None = None) -> CenterNetDetector:
    """Load the bundle's ONNX file; BundleError when the runtime cannot read it."""
    card = bundle.card
    return CenterNetDetector(
        labels=card.labels,
        input_size=card.input_size,
        stride=int(card.extra["stride"]),
        unit=float(card.extra["unit"]),
        session=open_session(bundle.file("model.onnx"), threads=threads),
    )


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(x, -30, 30))), np.float32)


def _peaks(heat: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Cells that no neighbour exceeds, (C, h, w): the paper's way without suppression by IoU."""
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), constant_values=-1)
    height, width = heat.shape[1:]
    around = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.asarray(heat >= np.max(around, axis=0), np.bool_)
