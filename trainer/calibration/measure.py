"""Whether a score means what it says: of answers with score 0.8, four in five should be right.

The expected calibration error of Guo et al., "On Calibration of Modern Neural Networks" (2017),
with precision at IoU 0.5 in the place of accuracy, as Küppers et al., "Multivariate Confidence
Calibration for Object Detection" (2020), count it for detectors.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from trainer.scores import Evaluation

BINS = 10
LEAST_SCORE = 0.1  # thousands of answers near 0 would drown what people are shown
MIN_DETECTIONS = 50  # answers below which the error is mostly chance


@dataclass(frozen=True)
class CalibrationBin:
    """Answers whose score lies in low..high. score: their mean score; right: share of hits."""

    low: float
    high: float
    answers: int
    score: float
    right: float


@dataclass(frozen=True)
class Calibration:
    """How far scores are from the truth.

    error: mean distance of score and precision, 0..1, weighed by answers; None below MIN_DETECTIONS
    answers. excess: mean score less the share that is right; above 0 the model is too sure of
    itself; None as error.
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
        """The finding as a clause."""
        if self.error is None or self.excess is None:
            return (
                f"unknown: {self.answers} answers above {LEAST_SCORE}, {MIN_DETECTIONS} are asked"
            )
        way = "too sure" if self.excess > 0 else "too modest"
        return f"{self.error:.3f}, {way} ({self.answers} answers above {LEAST_SCORE})"


def calibration(evaluation: Evaluation) -> Calibration:
    """Count the answers of all frames and classes in ten bins of equal width."""
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
