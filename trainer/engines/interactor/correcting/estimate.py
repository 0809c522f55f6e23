"""The estimated IoU of a mask, held to masks that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Line = tuple[Sequence[float], Sequence[float]]
_SAME: Line = ((0.0, 1.0), (0.0, 1.0))


@dataclass(frozen=True)
class IouEstimate:
    """Lines from the network's own figure to the IoU measured where it said so.

    Each is the places of some points, rising, and their values. of_first: for first answers.
    of_corrected: for those after corrections, which reach the same figure by another way.
    """

    of_first: Line = _SAME
    of_corrected: Line = _SAME

    @classmethod
    def of(cls, values: Mapping[str, Any] | None) -> IouEstimate:
        """Return the lines in a card's extra; without any the network's figure as it is."""
        if values is None:
            return cls()
        first, corrected = (values[name] for name in ("first", "corrected"))
        return cls((first[0], first[1]), (corrected[0], corrected[1]))

    def first(self, quality: float) -> float:
        """Return the estimate for a first answer, 0..1."""
        return float(np.interp(quality, *self.of_first))

    def corrected(self, quality: float) -> float:
        """Return the estimate for a corrected answer, 0..1."""
        return float(np.interp(quality, *self.of_corrected))
