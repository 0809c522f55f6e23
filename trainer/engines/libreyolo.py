"""Run libreyolo's detectors: ONNX Runtime for boxes and probabilities, numpy for selection.

Networks without NMS (D-FINE, DEIM, RF-DETR) return pairs of box and class, of which the best are
taken; for the others (YOLOX, YOLOv9) NMS within each class follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.engines.letterbox import letterbox
from trainer.engines.limits import FLOOR, TAIL, at_most
from trainer.engines.runtime import open_session
from trainer.engines.suppress import suppress
from trainer.errors import BundleError

_CANDIDATES = 5000  # pairs of box and class before NMS, besides those of at least FLOOR
_Float = NDArray[np.float32]


@dataclass(frozen=True)
class LibreyoloDetector:
    """The Detector of one bundle; see trainer.detector.Detector.

    iou: NMS threshold within a class; None without NMS. every_class: whether one location may
    report several classes, or only its best. most: objects per frame, if the card sets a limit.
    """

    labels: LabelMap
    input_size: tuple[int, int]
    iou: float | None
    every_class: bool
    session: Any
    most: int | None = None

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; probabilities are those of all classes of the object."""
        if not images:
            return []
        fitted = [letterbox(image, self.input_size) for image in images]
        batch = np.stack([pixels for pixels, _ in fitted]).transpose(0, 3, 1, 2)
        given = np.ascontiguousarray(batch, np.float32)
        boxes, probabilities, embeddings = self.session.run(None, {"images": given})
        return [
            self._read(
                boxes[n] / np.float32(scale),
                np.clip(probabilities[n], 0, 1),
                embeddings[n],
                (image.shape[0], image.shape[1]),
                min_score,
            )
            for n, (image, (_, scale)) in enumerate(zip(images, fitted, strict=True))
        ]

    def _read(
        self,
        boxes: _Float,
        probabilities: _Float,
        embedding: _Float,
        size: tuple[int, int],
        min_score: float,
    ) -> Detections:
        height, width = size
        placed = np.clip(boxes, 0, np.array([width, height, width, height], np.float32))
        # A box may lie on the padding, outside the image.
        inside = np.flatnonzero((placed[:, 2:] > placed[:, :2]).all(axis=1))
        rows, class_ids = self._candidates(probabilities[inside], min_score)
        rows = inside[rows]
        if self.iou is not None:
            scores = probabilities[rows, class_ids]
            keep = suppress(placed[rows], class_ids, same=self.iou, most=TAIL, scores=scores)
            rows, class_ids = rows[keep], class_ids[keep]
        given = at_most(probabilities[rows, class_ids], self.most)
        rows, class_ids = rows[given], class_ids[given]
        return Detections(
            boxes=placed[rows].astype(np.float32),
            scores=probabilities[rows, class_ids].astype(np.float32),
            class_ids=class_ids.astype(np.int64),
            probabilities=probabilities[rows].astype(np.float32),
            embedding=embedding.astype(np.float32),
        )

    def _candidates(
        self, probabilities: _Float, min_score: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return pairs of box and class, best first."""
        classes = probabilities.shape[1]
        scores = probabilities
        if not self.every_class:
            best = probabilities.argmax(axis=1)[:, None] == np.arange(classes)
            scores = np.where(best, probabilities, 0)
        flat = scores.ravel()
        kept = np.flatnonzero((flat >= min_score) & (flat > 0))
        counted = int(np.count_nonzero(flat[kept] >= FLOOR))
        most = max(TAIL if self.iou is None else _CANDIDATES, counted)
        kept = kept[np.argsort(-flat[kept], kind="stable")[:most]]
        rows, class_ids = np.divmod(kept, classes)
        return rows, class_ids


def load(bundle: Bundle, *, threads: int | None = None) -> LibreyoloDetector:
    """Load the bundle's ONNX file; BundleError when its classes differ from the card's."""
    card = bundle.card
    session = open_session(bundle.file("model.onnx"), threads=threads)
    outputs = {output.name: output.shape for output in session.get_outputs()}
    shape = outputs.get("probabilities", [])
    if len(shape) != 3 or (isinstance(shape[2], int) and shape[2] != len(card.labels)):
        raise BundleError(
            bundle.path, f"probabilities of {len(card.labels)} classes, (B, N, C)", str(shape)
        )
    iou = card.extra["iou"]
    return LibreyoloDetector(
        labels=card.labels,
        input_size=card.input_size,
        iou=None if iou is None else float(iou),
        every_class=bool(card.extra["every_class"]),
        session=session,
        most=card.extra.get("most"),
    )
