"""Which slices surely do worse than the rest: all single conditions and all pairs. Pure.

Each slice is held against everything outside it: Chung et al., "Slice Finder: Automated Data
Slicing for Model Validation" (ICDE 2019); all pairs are counted, as Sagadeeva and Boehm,
"SliceLine" (SIGMOD 2021), do by sparse products. A slice is claimed where its corrected upper bound
lies below the corrected lower bound of the rest. Of those claimed, one stays only while it says
something that a broader or a worse one does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.bounds import ShareCounts, bounds, count_share, pooled_counts
from cvat_bridge.blindspots.conditions import Codes, Conditions

LEAST_BOXES, LEAST_FRAMES = 8, 3
_LOOKED_INTO = 40  # of the slices that look worse before frames are counted, the most certain
_SUSPECT = 2.5  # standard errors, below which frames need not be counted: bounds lie further out
Bools = NDArray[np.bool_]
Where = tuple[tuple[int, int], ...]  # (attribute, code) of each condition


@dataclass(frozen=True)
class WeakSlice:
    """A slice of boxes: in it, outside it, and the bounds of both shares."""

    where: Where
    inside: ShareCounts
    outside: ShareCounts
    low: float
    high: float
    rest_low: float
    rest_high: float

    @property
    def worse(self) -> bool:
        """Whether it is surely worse than the rest."""
        return self.high < self.rest_low

    @property
    def lost(self) -> float:
        """Failures beyond what the rest's share would give, both at their cautious bounds."""
        return max(self.rest_low - self.high, 0.0) * self.inside.of

    @property
    def weight(self) -> float:
        """How bad and how certain: the gap by the root of the number of boxes.

        Kloesgen's quality of a subgroup (Explora, 1996), on the cautious gap.
        """
        return max(self.rest_low - self.high, 0.0) * float(np.sqrt(self.inside.of))


class ConditionCells:
    """Every single condition and every pair as numbers of each box, so that counting is quick.

    codes: (attributes, N), -1 for none of an attribute's values. Made once for each record.
    """

    def __init__(self, known: Conditions, codes: Codes) -> None:
        self.codes = codes
        many = [len(one.conditions) for one in known.attributes]
        used = [a for a, wide in enumerate(many) if wide]
        self._parts: list[tuple[tuple[int, ...], int, int]] = []
        rows = []
        for a in used:
            self._parts.append(((a,), many[a], 1))
            rows.append(codes[a] + 1)
        for n, a in enumerate(used):
            for b in used[n + 1 :]:
                both = (codes[a] >= 0) & (codes[b] >= 0)
                self._parts.append(((a, b), many[a] * many[b], many[b]))
                rows.append(np.where(both, codes[a] * many[b] + codes[b] + 1, 0))
        self._rows = np.stack(rows).astype(np.int32) if rows else np.zeros((0, 0), np.int32)

    def count(self, state: NDArray[np.int8], states: int) -> Iterator[tuple[Where, list[int]]]:
        """Yield every slice that holds a box, with its boxes of each state 0 to states - 1."""
        for (attributes, wide, step), row in zip(self._parts, self._rows, strict=True):
            shifted = row + state.astype(np.int32) * (wide + 1)
            found = np.bincount(shifted, minlength=states * (wide + 1)).reshape(states, -1)[:, 1:]
            for cell in np.flatnonzero(found.any(axis=0)).tolist():
                codes = (cell,) if len(attributes) == 1 else divmod(cell, step)
                yield tuple(zip(attributes, codes, strict=True)), found[:, cell].tolist()


class SliceableBoxes:
    """Boxes of one kind (objects, or answers), each right or not, to be sliced.

    cells: of all boxes of the record. shown: (N,) those that are looked at; right: (N,) of them.
    cluster: (N,) what fails together. sizes: boxes that each slice holds, and right ones, of the
    slices with enough.
    """

    def __init__(
        self, cells: ConditionCells, shown: Bools, right: Bools, cluster: NDArray[np.int64]
    ) -> None:
        self.codes, self.shown, self.right, self.level = cells.codes, shown, right & shown, 0.05
        self._cluster = cluster
        self._many = int(cluster.max()) + 1 if len(cluster) else 0
        self._all = self._by_cluster(np.flatnonzero(shown))
        state = np.where(self.right, 2, np.where(shown, 1, 0)).astype(np.int8)
        self.sizes = {
            where: (wrong + good, good)
            for where, (_, wrong, good) in cells.count(state, 3)
            if wrong + good
        }

    @property
    def compared(self) -> int:
        """Slices that hold enough boxes to be looked at."""
        return sum(size >= LEAST_BOXES for size, _ in self.sizes.values())

    def mask(self, where: Where) -> Bools:
        """Return which of the boxes looked at lie in a slice."""
        found = self.shown.copy()
        for attribute, code in where:
            found &= self.codes[attribute] == code
        return found

    def compare(self, where: Where, inside: Bools, outside: Bools | None = None) -> WeakSlice:
        """Hold some boxes looked at against others (all the rest, where none are given).

        Bounds are passed with the chance `level`, which the page sets for all its slices.
        """
        each, hits = self._by_cluster(np.flatnonzero(inside))
        if outside is None:
            others, other_hits = self._all[0] - each, self._all[1] - hits
        else:
            others, other_hits = self._by_cluster(np.flatnonzero(outside))
        rest = count_share(others, other_hits)
        own = pooled_counts(count_share(each, hits), rest)
        return WeakSlice(where, own, rest, *bounds(own, self.level), *bounds(rest, self.level))

    def _by_cluster(
        self, rows: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        cluster = self._cluster[rows]
        each = np.bincount(cluster, minlength=self._many)
        hits = np.bincount(cluster[self.right[rows]], minlength=self._many)
        return each.astype(float), hits.astype(float)


def find(boxes: SliceableBoxes) -> tuple[WeakSlice, ...]:
    """Return the slices that are surely worse than the rest, the weightiest first."""
    whole = (int(boxes.shown.sum()), int(boxes.right.sum()))
    ranked = []
    for where, inside in boxes.sizes.items():
        if inside[0] < LEAST_BOXES:
            continue
        certain = _certain(inside, whole)
        # A pair must be worse than each of its two conditions alone.
        alone = [boxes.sizes[(part,)] for part in where] if len(where) == 2 else []
        if min([certain, *(_certain(inside, one) for one in alone)]) > _SUSPECT:
            ranked.append((certain, where))
    ranked.sort(key=lambda row: (-row[0], row[1]))
    singles = [where for _, where in ranked if len(where) == 1]
    pairs = [where for _, where in ranked if len(where) == 2][:_LOOKED_INTO]
    claimed = []
    for where in [*singles[:_LOOKED_INTO], *pairs]:
        one = boxes.compare(where, boxes.mask(where))
        if one.worse and one.inside.clusters >= LEAST_FRAMES:
            claimed.append(one)
    return _telling(boxes, claimed)


def _certain(inside: tuple[int, int], whole: tuple[int, int]) -> float:
    """Return by how many standard errors a part does worse than the rest, frames apart."""
    (size, hits), (total, right) = inside, whole
    rest = total - size
    if not rest:
        return 0.0
    share = right / total
    spread = max(share * (1 - share), 1e-9) * (1 / size + 1 / rest)
    return float(((right - hits) / rest - hits / size) / spread**0.5)


def _telling(boxes: SliceableBoxes, claimed: list[WeakSlice]) -> tuple[WeakSlice, ...]:
    """Keep what is not explained by another slice."""
    claimed.sort(key=lambda one: (-one.weight, one.where))
    masks = {one.where: boxes.mask(one.where) for one in claimed}
    kept: list[WeakSlice] = []
    for one in (row for row in claimed if len(row.where) == 1):
        others = _union(masks[k.where] for k in kept)
        if _still(boxes, one, masks[one.where], others):
            kept.append(one)
    for one in (row for row in claimed if len(row.where) == 2):
        own = masks[one.where]
        parents = [boxes.mask((part,)) for part in one.where]
        if not all(boxes.compare(one.where, own, parent & ~own).worse for parent in parents):
            continue
        others = _union(masks[k.where] for k in kept if k.where[0] not in one.where)
        if _still(boxes, one, own, others):
            kept.append(one)
    final = []
    for one in kept:
        narrower = _union(
            masks[k.where]
            for k in kept
            if len(k.where) > len(one.where) and one.where[0] in k.where
        )
        if _still(boxes, one, masks[one.where], narrower):
            final.append(one)
    return tuple(sorted(final, key=lambda one: (-one.weight, one.where)))


def _still(boxes: SliceableBoxes, one: WeakSlice, own: Bools, others: Bools | None) -> bool:
    """Whether a slice is worse than the rest even where these others are left out of both."""
    if others is None:
        return True
    left = own & ~others
    return (
        int(left.sum()) >= LEAST_BOXES
        and boxes.compare(one.where, left, boxes.shown & ~own & ~others).worse
    )


def _union(masks: Iterator[Bools]) -> Bools | None:
    found: Bools | None = None
    for mask in masks:
        found = mask if found is None else found | mask
    return found
