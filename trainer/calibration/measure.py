"""Measure calibration: of detections with score 0.8, four in five should be right.

The expected calibration error of Guo et al., "On Calibration of Modern Neural Networks" (2017),
with precision at IoU 0.5 in place of accuracy, as Küppers et al., "Multivariate Confidence
Calibration for Object Detection" (2020), define it for detectors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.scores import Evaluation

BINS = 10
LEAST_SCORE = 0.1  # thousands of detections near 0 would dominate those that people see
MIN_DETECTIONS = 50  # with fewer detections the error is mostly noise


@dataclass(frozen=True)
class CalibrationBin:
    """Detections with scores in low..high. score: their mean score; right: their precision."""

    low: float
    high: float
    answers: int
    score: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """How well scores match precision.

    error: expected calibration error, 0..1: mean distance of score and precision, weighted by
    detections; None below MIN_DETECTIONS. excess: mean score minus precision; above 0 the model is
    overconfident; None like error.
    """

    error: float | None
    excess: float | None
    answers: int
    bins: tuple[CalibrationBin, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"least_score": LEAST_SCORE, "bins": [asdict(b) for b in self.bins]}

    @property
    def note(self) -> str:
        """Return the result as a clause."""
        if self.error is None or self.excess is None:
            few = f"{self.answers} detections above {LEAST_SCORE}"
            return f"unknown: {few}, {MIN_DETECTIONS} are needed"
        way = "overconfident" if self.excess > 0 else "underconfident"
        return f"{self.error:.3f}, {way} ({self.answers} detections above {LEAST_SCORE})"


def calibration(evaluation: Evaluation) -> Calibration:
    """Compute the calibration of all frames and classes in ten bins of equal width."""
    scores = np.concatenate([np.zeros(0), *(f.scores for f in evaluation.frames)])
    hits = np.concatenate([np.zeros(0, np.bool_), *(f.matched[:, 0] for f in evaluation.frames)])
    void = np.concatenate([np.zeros(0, np.bool_), *(f.ignored[:, 0] for f in evaluation.frames)])
    kept = ~void & (scores >= LEAST_SCORE)
    scores, hits = scores[kept], hits[kept]
    places = np.minimum((scores * BINS).astype(int), BINS - 1)
    bins = tuple(
        CalibrationBin(
            n / BINS,
            (n + 1) / BINS,
            int(inside.sum()),
            float(scores[inside].mean()),
            float(hits[inside].mean()),
        )
        for n in range(BINS)
        if (inside := places == n).any()
    )
    if len(scores) < MIN_DETECTIONS:
        return Calibration(None, None, len(scores), bins)
    error = sum(b.answers * abs(b.score - b.right) for b in bins) / len(scores)
    return Calibration(float(error), float(scores.mean() - hits.mean()), len(scores), bins)
