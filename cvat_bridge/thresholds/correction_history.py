"""What people did to earlier proposals, as the chance that a proposal of a score is of use. Pure.

The chance in each tenth of the scores is the share that was of use, drawn to what the calibration
says by as many proposals as _PRIOR (the mean of a beta-binomial), and then made to rise with the
score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.ledger.records import Correction

ENOUGH = 30  # corrected proposals of a label, from which they are asked
# Of use is what spares the drawing; `redrawn` and `deleted` spare nothing.
_OF_USE = frozenset({"kept", "nudged", "relabelled"})
_MENDED = frozenset({"nudged", "relabelled"})
_PRIOR = 20.0
_TENTHS = np.linspace(0, 1, 11)


@dataclass(frozen=True)
class CorrectionHistory:
    """What became of the proposals of one label.

    scores: (N,) of proposals, as they were calibrated. of_use, mended: (N,).
    """

    scores: NDArray[np.float64]
    of_use: NDArray[np.bool_]
    mended: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scores)

    def chance(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance of being of use, rising with the calibrated score."""
        from scipy.optimize import isotonic_regression

        middle = (_TENTHS[1:] + _TENTHS[:-1]) / 2
        place = np.clip((self.scores * 10).astype(int), 0, 9)
        count = np.bincount(place, minlength=10)
        total = np.bincount(place, weights=self.scores, minlength=10)
        used = np.bincount(place, weights=self.of_use, minlength=10)
        weight = _PRIOR + count
        at, share = (_PRIOR * middle + total) / weight, (_PRIOR * middle + used) / weight
        rising = isotonic_regression(share, weights=weight).x
        known = np.interp(scores, np.concatenate([[0.0], at]), np.concatenate([[0.0], rising]))
        return np.asarray(known, np.float64)

    def mended_share(self, expected: float) -> float:
        """Return the share of what was of use that was mended, drawn to what was expected."""
        return float((self.mended.sum() + _PRIOR * expected) / (self.of_use.sum() + _PRIOR))


def correction_history(corrections: Sequence[Correction], label: str) -> CorrectionHistory:
    """Gather what became of the proposals of a label; what people added says nothing of them."""
    rows = [row for row in corrections if row.proposed_label == label and row.score is not None]
    return CorrectionHistory(
        np.array([row.score for row in rows], np.float64),
        np.array([row.outcome in _OF_USE for row in rows], np.bool_),
        np.array([row.outcome in _MENDED for row in rows], np.bool_),
    )
