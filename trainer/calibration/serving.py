"""A calibrated model: the engine's detections with scores mapped by the card's calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trainer.calibration.score_map import ScoreMap, ScoreMaps
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.detector import Detector

_SLACK = 1e-6  # of 32-bit scores: keeps detections at the threshold despite rounding


@dataclass(frozen=True)
class CalibratedDetector:
    """A detector whose scores are the probability that a detection is right at IoU 0.5.

    raw: the engine. See trainer.detector.Detector.
    """

    raw: Detector
    maps: ScoreMaps

    @property
    def labels(self) -> LabelMap:
        """Return the classes that class_ids index."""
        return self.raw.labels

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in every image; min_score refers to calibrated scores, 0 keeps every candidate.

        Probabilities are mapped per class, too. The class of a detection stays the likeliest of its
        row, and a row of a softmax head still sums to at most 1.
        """
        each = [self.maps.of(name) for name in self.labels] or [self.maps.pooled]
        least = min(float(one.inverse(min_score)) for one in each) - _SLACK if min_score else 0.0
        found = self.raw.detect(images, min_score=max(least, 0.0))
        return [_from(self.calibrated(one), min_score) for one in found]

    def calibrated(self, found: Detections) -> Detections:
        """Return raw detections with calibrated scores, sorted again."""
        each = [self.maps.of(name) for name in self.labels]
        scores = _by_class(found.scores, found.class_ids, each)
        order = np.argsort(-scores, kind="stable")
        probabilities = found.probabilities
        if probabilities is not None and len(found):
            probabilities = _probabilities(found, probabilities, scores, each)[order]
        return replace(
            found,
            boxes=found.boxes[order],
            scores=scores[order],
            class_ids=found.class_ids[order],
            probabilities=probabilities,
            masks=None if found.masks is None else tuple(found.masks[n] for n in order),
        )


def candidates(
    detector: Detector, images: Sequence[RGBImage], *, min_score: float
) -> list[Detections]:
    """Detect every candidate whose raw score reaches min_score.

    So a calibrated model is evaluated on the same candidates as an uncalibrated one: the
    calibration does not cut the tail of its precision-recall curve.
    """
    if not isinstance(detector, CalibratedDetector):
        return detector.detect(images, min_score=min_score)
    found = detector.raw.detect(images, min_score=min_score)
    return [detector.calibrated(one) for one in found]


def _by_class(
    scores: NDArray[np.float32], class_ids: NDArray[np.int64], each: Sequence[ScoreMap]
) -> NDArray[np.float32]:
    mapped = np.zeros(len(scores), np.float32)
    for class_id in np.unique(class_ids):
        rows = class_ids == class_id
        mapped[rows] = each[int(class_id)](scores[rows])
    return mapped


def _probabilities(
    found: Detections,
    raw: NDArray[np.float32],
    scores: NDArray[np.float32],
    each: Sequence[ScoreMap],
) -> NDArray[np.float32]:
    mapped = np.stack([one(raw[:, n]) for n, one in enumerate(each)], axis=1)
    rows, own = np.arange(len(found)), found.class_ids
    # Two curves may cross, but the class with the highest raw score stays the best.
    lesser = raw <= raw[rows, own][:, None]
    mapped = np.where(lesser, np.minimum(mapped, scores[:, None]), mapped)
    mapped[rows, own] = scores
    if found.head == "softmax":
        others = mapped.sum(axis=1) - scores
        room = np.maximum(1 - scores, 0)
        share = np.where(others > room, room / np.maximum(others, 1e-12), 1.0)
        mapped *= share[:, None]
        mapped[rows, own] = scores
    return np.asarray(mapped, np.float32)


def _from(found: Detections, min_score: float) -> Detections:
    """Drop the detections below the threshold; they are sorted."""
    kept = int((found.scores >= min_score).sum())
    if kept == len(found):
        return found
    return replace(
        found,
        boxes=found.boxes[:kept],
        scores=found.scores[:kept],
        class_ids=found.class_ids[:kept],
        probabilities=None if found.probabilities is None else found.probabilities[:kept],
        masks=None if found.masks is None else found.masks[:kept],
    )
