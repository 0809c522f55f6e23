"""The cost of a frame: the expected annotation time in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, Objects


@dataclass(frozen=True)
class CostModel:
    """Annotation times in seconds, used until a project has measured its own.

    frame: open and scan a frame. verify: check that a shape is right. fix: move or relabel one.
    add: draw a missing one. delete: remove a false one. shown_from: candidates from this
    probability are pre-annotated; the others, if real, have to be drawn. The defaults follow the
    order that studies agree on (deleting is cheap, verifying 6 to 9 times cheaper than drawing:
    Papadopoulos et al., CVPR 2016); replace them by the project's own times as soon as the ledger
    has some.
    """

    frame: float = 2.0
    verify: float = 1.5
    fix: float = 6.0
    add: float = 10.0
    delete: float = 1.5
    shown_from: float = 0.5

    def __post_init__(self) -> None:
        """Reject invalid times: a frame takes time, and no time is negative."""
        for name in ("frame", "verify", "fix", "add", "delete"):
            value = getattr(self, name)
            if not np.isfinite(value) or value < 0 or (name == "frame" and value == 0):
                raise InvalidPoolError(f"cost.{name} must be seconds of 0 or more, found {value}")
        if not 0 <= self.shown_from <= 1:
            raise InvalidPoolError(f"cost.shown_from must lie in 0..1, found {self.shown_from}")


def expected_seconds(objects: Objects, cost: CostModel) -> FloatArray:
    """Return (N,) seconds expected for each frame.

    A candidate with probability p that is shown is right with probability p (verify), else half the
    time badly placed or labelled (fix) and half the time false (delete). One that is not shown is
    real with probability p (add). The even split of the wrong ones is an assumption until the
    ledger has data.
    """
    p = np.asarray(objects.probabilities.max(axis=1, initial=0), float)
    shown = p * cost.verify + (1 - p) * 0.5 * (cost.fix + cost.delete)
    each = np.where(p >= cost.shown_from, shown, p * cost.add)
    offsets = np.asarray(objects.offsets)
    sums = np.concatenate([[0.0], np.cumsum(each)])
    return np.asarray(cost.frame + sums[offsets[1:]] - sums[offsets[:-1]], float)
