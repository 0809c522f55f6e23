"""Limits of a batch: no frame twice, not too many of a group, no near-duplicates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import InvalidPoolError
from active_learning.pool import IntArray, StrArray
from active_learning.selectors.distances import EmbeddingSpace, Float32Array, squared_distances


class SelectionLimits:
    """The state of a selection: which frames are still open, and why others are not.

    open: (N,) bool, frames that may still be selected. A group is full after `cap` frames. A frame
    closer than `radius` (in typical distances, see EmbeddingSpace) to a selected one or to one of
    `known` is a near-duplicate. radius None permits near-duplicates.
    """

    def __init__(
        self,
        open_rows: NDArray[np.bool_],
        *,
        groups: StrArray | None = None,
        cap: int | None = None,
        space: EmbeddingSpace | None = None,
        radius: float | None = None,
        known: Float32Array | None = None,
    ) -> None:
        if cap is not None and cap < 1:
            raise InvalidPoolError(f"cap_per_group must be 1 or more, found {cap}")
        if radius is not None and not 0 <= radius < np.inf:
            raise InvalidPoolError(f"near_duplicate must be 0 or more, found {radius}")
        self.open = open_rows
        self.whys: dict[int, str] = {}
        self.cap = cap
        self.radius = radius if space is not None else None
        self._space = space
        self._groups: IntArray | None = None
        self._counts: IntArray = np.zeros(0, np.int64)
        if cap is not None and groups is not None:
            names, codes = np.unique(groups, return_inverse=True)
            self._groups, self._counts = codes, np.zeros(len(names), np.int64)
        width = space.width if space is not None else 0
        self._anchors = known if known is not None else np.zeros((0, width), np.float32)
        self._anchor_count = len(self._anchors)

    @property
    def floor(self) -> float:
        """Return the squared distance up to which a frame is a near-duplicate; -1 if none is."""
        return -1.0 if self.radius is None else self.radius**2

    def room(self) -> NDArray[np.bool_]:
        """Return (N,) whether each frame is open and its group not full; near-duplicates count."""
        if self._groups is None:
            return self.open
        return np.asarray(self.open & (self._counts < (self.cap or 0))[self._groups])

    def admissible(self, rows: IntArray) -> NDArray[np.bool_]:
        """Return (K,) whether each row is open, its group not full, and not a near-duplicate."""
        good = self.open[rows].copy()
        if self._groups is not None:
            good &= self._counts[self._groups[rows]] < (self.cap or 0)
        if self.radius is not None and self._space is not None and self._anchor_count:
            asked = np.flatnonzero(good)
            anchors = self._anchors[: self._anchor_count]
            step = max(1, (1 << 22) // len(anchors))
            for start in range(0, len(asked), step):
                part = asked[start : start + step]
                gaps = squared_distances(self._space.rows(rows[part]), anchors)
                good[part] = gaps.min(axis=1) > self.floor
        return good

    @property
    def mark(self) -> int:
        """Return a marker of the current state, for `still_admissible`."""
        return self._anchor_count

    def still_admissible(self, row: int, since: int) -> bool:
        """Return whether a row that was admissible at the marker `since` still is."""
        if self._groups is not None and self._counts[self._groups[row]] >= (self.cap or 0):
            return False
        if self.radius is None or self._space is None or since == self._anchor_count:
            return True
        newer = self._anchors[since : self._anchor_count]
        gaps = squared_distances(self._space.rows(np.array([row])), newer)
        return bool(gaps.min() > self.floor)

    def take(self, row: int, why: str = "") -> None:
        """Select a frame: close it, count it in its group, exclude its near-duplicates.

        why: a reason besides its value, "" for none.
        """
        self.open[row] = False
        if why:
            self.whys[row] = why
        if self._groups is not None:
            self._counts[self._groups[row]] += 1
        if self.radius is not None and self._space is not None:
            if self._anchor_count == len(self._anchors):
                grown = np.zeros((max(64, 2 * self._anchor_count), self._space.width), np.float32)
                grown[: self._anchor_count] = self._anchors
                self._anchors = grown
            self._anchors[self._anchor_count] = self._space.rows(np.array([row]))[0]
            self._anchor_count += 1

    def lift_duplicates(self) -> None:
        """Permit near-duplicates from now on, when nothing else is left."""
        self.radius = None

    def narrowed(self, rows: IntArray, space: EmbeddingSpace | None) -> SelectionLimits:
        """Return a copy of this state for these rows, numbered by their position in `rows`."""
        part = SelectionLimits(self.open[rows], cap=self.cap, space=space, radius=self.radius)
        if self._groups is not None:
            part._groups, part._counts = self._groups[rows], self._counts.copy()
        part._anchors, part._anchor_count = self._anchors.copy(), self._anchor_count
        return part
