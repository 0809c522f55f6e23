"""Which slices surely do worse than the rest: all single conditions and all pairs. Pure.

Each slice is held against everything outside it: Chung et al., "Slice Finder: Automated Data
Slicing for Model Validation" (ICDE 2019); all pairs are counted, as Sagadeeva and Boehm, "SliceLine"
(SIGMOD 2021), do by sparse products. A slice is claimed where its corrected upper bound lies below
the corrected lower bound of the rest. Of those claimed, one stays only while it says something that
a broader or a worse one does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.bounds import Counted, bounds, counted, pooled
from cvat_bridge.blindspots.conditions import Codes, Conditions

LEAST_BOXES, LEAST_FRAMES = 8, 3
_LOOKED_INTO = 60  # of the slices that look worse before frames are counted, the most certain
Bools = NDArray[np.bool_]
Where = tuple[tuple[int, int], ...]  # (attribute, code) of each condition


@dataclass(frozen=True)
class Found:
    """A slice of boxes: in it, outside it, and the bounds of both shares."""

    where: Where
    inside: Counted
    outside: Counted
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


class Boxes:
    """Boxes of one kind (objects, or answers), each right or not, to be sliced.

    codes: (attributes, N). right: (N,). cluster: (N,) what fails together. level: chance that one
    bound is passed.
    """

    def __init__(self, codes: Codes, right: Bools, cluster: NDArray[np.int64], level: float):
        self.codes, self.right, self.cluster, self.level = codes, right, cluster, level

    def mask(self, where: Where) -> Bools:
        """Which boxes lie in a slice."""
        found = np.ones(len(self.right), np.bool_)
        for attribute, code in where:
            found &= self.codes[attribute] == code
        return found

    def compare(self, where: Where, inside: Bools, outside: Bools | None = None) -> Found:
        """Hold some boxes against others (all the rest, where none are given)."""
        rest_mask = ~inside if outside is None else outside
        rest = counted(self.right[rest_mask], self.cluster[rest_mask])
        own = pooled(counted(self.right[inside], self.cluster[inside]), rest)
        return Found(where, own, rest, *bounds(own, self.level), *bounds(rest, self.level))


def slices(known: Conditions, codes: Codes) -> Iterator[tuple[Where, int]]:
    """Yield every single condition and pair with its number of boxes, if there are enough."""
    for where, size, _ in _counts(known, codes, np.zeros(codes.shape[1], np.bool_)):
        if size >= LEAST_BOXES:
            yield where, size


def find(boxes: Boxes, known: Conditions) -> tuple[Found, ...]:
    """Return the slices that are surely worse than the rest, the weightiest first."""
    total, right = len(boxes.right), int(boxes.right.sum())
    ranked = []
    for where, size, hits in _counts(known, boxes.codes, boxes.right):
        rest = total - size
        if size < LEAST_BOXES or not rest:
            continue
        share, others = hits / size, (right - hits) / rest
        if share < others:
            spread = max(right / total * (1 - right / total), 1e-9) * (1 / size + 1 / rest)
            ranked.append(((others - share) / spread**0.5, where))
    ranked.sort(key=lambda row: (-row[0], row[1]))
    singles = [where for _, where in ranked if len(where) == 1]
    pairs = [where for _, where in ranked if len(where) == 2][:_LOOKED_INTO]
    claimed = []
    for where in [*singles[:_LOOKED_INTO], *pairs]:
        one = boxes.compare(where, boxes.mask(where))
        if one.worse and one.inside.clusters >= LEAST_FRAMES:
            claimed.append(one)
    return _telling(boxes, claimed)


def _telling(boxes: Boxes, claimed: list[Found]) -> tuple[Found, ...]:
    """Keep what is not explained by another slice."""
    claimed.sort(key=lambda one: (-one.weight, one.where))
    masks = {one.where: boxes.mask(one.where) for one in claimed}
    kept: list[Found] = []
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


def _still(boxes: Boxes, one: Found, own: Bools, others: Bools | None) -> bool:
    """Whether a slice is worse than the rest even where these others are left out of both."""
    if others is None:
        return True
    left = own & ~others
    return int(left.sum()) >= LEAST_BOXES and boxes.compare(one.where, left, ~own & ~others).worse


def _union(masks: Iterator[Bools]) -> Bools | None:
    found: Bools | None = None
    for mask in masks:
        found = mask if found is None else found | mask
    return found


def _counts(known: Conditions, codes: Codes, right: Bools) -> Iterator[tuple[Where, int, int]]:
    """Yield every slice with any box: where, boxes, right ones."""
    sizes = [len(one.conditions) for one in known.attributes]
    for a, wide in enumerate(sizes):
        if not wide:
            continue
        for code, size, hits in _cells(codes[a], right, wide):
            yield ((a, code),), size, hits
        for b in range(a + 1, len(sizes)):
            if not sizes[b]:
                continue
            both = (codes[a] >= 0) & (codes[b] >= 0)
            cell = np.where(both, codes[a] * sizes[b] + codes[b], -1)
            for code, size, hits in _cells(cell, right, wide * sizes[b]):
                yield ((a, code // sizes[b]), (b, code % sizes[b])), size, hits


def _cells(cell: Codes, right: Bools, wide: int) -> Iterator[tuple[int, int, int]]:
    size = np.bincount(cell + 1, minlength=wide + 1)[1:]
    hits = np.bincount(cell[right] + 1, minlength=wide + 1)[1:]
    for code in np.flatnonzero(size).tolist():
        yield code, int(size[code]), int(hits[code])
