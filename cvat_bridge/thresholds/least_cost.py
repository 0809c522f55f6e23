"""The score from which showing an object costs people least, from what they did. Pure.

What showing a proposal saved is known once a person has seen it: a kept one spared the drawing, a
deleted one cost a look and a key. As a function of the score that is smoothed to rise (isotonic
regression), with the calibration's word as so many proposals in each tenth; the threshold is where
it crosses zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.ledger.records import Correction, CorrectionOutcome
from trainer.calibration.worth import FIXED_SHARE, LEAST, ShapeSeconds

_PRIOR = 5.0  # proposals in each tenth that say what the calibration says
_GRID = np.round(np.linspace(LEAST, 1, 91), 2)
Floats = NDArray[np.float64]


def saved_seconds(outcome: CorrectionOutcome, seconds: ShapeSeconds) -> float:
    """Return what showing a proposal saved, in seconds of a person; less than 0 where it cost."""
    look = -seconds.verify
    if outcome == "kept":
        return seconds.draw + look
    if outcome in ("nudged", "relabelled"):
        return seconds.draw + look - seconds.fix
    return look - seconds.delete  # deleted, or redrawn from nothing


@dataclass(frozen=True)
class SavedByScore:
    """What showing a proposal saves, rising with its score. at: (M,) scores; saved: (M,) s."""

    at: Floats
    saved: Floats

    def __call__(self, scores: Floats) -> Floats:
        """Return the seconds that showing proposals of these scores saves, (N,)."""
        return np.asarray(np.interp(scores, self.at, self.saved), np.float64)

    @property
    def threshold(self) -> float:
        """Return the least score, LEAST..1, from which showing saves time; 1 where none does."""
        good = np.flatnonzero(self(_GRID) >= 0)
        return float(_GRID[good[0]]) if len(good) else 1.0


def saved_by_score(rows: Sequence[Correction], seconds: ShapeSeconds) -> SavedByScore:
    """Learn what showing a proposal of a label saves. rows: its corrections, additions left out."""
    from scipy.optimize import isotonic_regression

    told = [
        (row.score, saved_seconds(row.outcome, seconds)) for row in rows if row.score is not None
    ]
    middle = np.arange(0.05, 1.0, 0.1)
    expected = [seconds.saved(float(p), FIXED_SHARE) for p in middle]
    at = np.concatenate([middle, [score for score, _ in told]])
    saved = np.concatenate([expected, [value for _, value in told]])
    weight = np.concatenate([np.full(len(middle), _PRIOR), np.ones(len(told))])
    order = np.argsort(at, kind="stable")
    rising = isotonic_regression(saved[order], weights=weight[order]).x
    return SavedByScore(*_middles(at[order], rising, weight[order]))


def _middles(at: Floats, rising: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Return each level of the regression once, at the mean score of what makes it."""
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(rising)) + 1])
    totals = np.add.reduceat(weight, cuts)
    return np.add.reduceat(at * weight, cuts) / totals, rising[cuts]


def correction_seconds(
    rows: Sequence[Correction], threshold: float, seconds: ShapeSeconds
) -> float:
    """Return the seconds that correcting these frames takes if a label is shown from a threshold.

    rows: all of the label, additions among them; what lies below the threshold is drawn instead,
    where it was an object at all.
    """
    total = 0.0
    for row in rows:
        if row.outcome == "added":
            total += seconds.draw
        elif row.score is not None and row.score >= threshold:
            spent = {"kept": 0.0, "nudged": seconds.fix, "relabelled": seconds.fix}
            wrong = seconds.delete + (seconds.draw if row.outcome == "redrawn" else 0.0)
            total += seconds.verify + spent.get(row.outcome, wrong)
        elif row.outcome != "deleted":
            total += seconds.draw
    return total
