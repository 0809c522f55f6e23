"""Calibrate the estimated IoU of a mask by measured IoUs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Line = tuple[Sequence[float], Sequence[float]]
_SAME: Line = ((0.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class IouEstimate:
    """Piecewise linear maps from the network's estimate to the measured IoU.

    Each is a pair of rising positions and their values. of_first: for first predictions.
    of_corrected: for predictions after corrections, whose estimates have another bias.
    """

    of_first: Line = _SAME
    of_corrected: Line = _SAME

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> IouEstimate:
        """Return the maps in a card's extra; the identity if there are none."""
        if values is None:
            return cls()
        first, corrected = (values[name] for name in ("first", "corrected"))
        return cls((first[0], first[1]), (corrected[0], corrected[1]))

    def first(self, quality: float) -> float:
        """Return the estimated IoU of a first prediction, 0..1."""
        return float(np.interp(quality, *self.of_first))

    def corrected(self, quality: float) -> float:
        """Return the estimated IoU of a corrected prediction, 0..1."""
        return float(np.interp(quality, *self.of_corrected))
