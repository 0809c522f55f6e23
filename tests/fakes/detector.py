"""A detector that finds what a test told it to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from trainer.data.images import decode
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.detector import RGBImage

Found = tuple[str, float, tuple[float, float, float, float]]  # class, score, box


class ToldDetector:
    """Implements trainer.detector.Detector. told: encoded image → what it finds there.

    The embedding is the image's mean colour. seen counts images, batches keeps batch sizes.
    """

    def __init__(self, classes: Sequence[str], told: Mapping[bytes, Sequence[Found]]) -> None:
        self._labels = LabelMap(tuple(classes))
        self._told = {decode(content).tobytes(): tuple(found) for content, found in told.items()}
        self.batches: list[int] = []

    @property
    def seen(self) -> int:
        return sum(self.batches)

    @property
    def labels(self) -> LabelMap:
        return self._labels

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        self.batches.append(len(images))
        return [self._answer(image, min_score) for image in images]

    def _answer(self, image: RGBImage, min_score: float) -> Detections:
        rows = [row for row in self._told.get(image.tobytes(), ()) if row[1] >= min_score]
        rows.sort(key=lambda row: -row[1])
        embedding = image.reshape(-1, 3).mean(axis=0).astype(np.float32) / 255
        if not rows:
            return Detections.empty(classes=len(self._labels), embedding=embedding)
        class_ids = np.array([self._labels.id_of(name) for name, _, _ in rows], np.int64)
        scores = np.array([score for _, score, _ in rows], np.float32)
        probabilities = np.zeros((len(rows), len(self._labels)), np.float32)
        probabilities[np.arange(len(rows)), class_ids] = scores
        boxes = np.array([box for _, _, box in rows], np.float32)
        return Detections(boxes, scores, class_ids, probabilities, embedding=embedding)
