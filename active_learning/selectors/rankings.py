"""The selector protocol, and selectors by value.

A selector selects at most `budget` rows that the limits permit and returns them in order. It
returns fewer when the limits leave fewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.distances import EmbeddingSpace, Float32Array
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.ordering import top_rows

_WALK = 4096


@dataclass(frozen=True, eq=False)
class SelectorInput:
    """The inputs of a selector.

    values: (N,) the value of each frame by itself. rank: (N,) order that breaks ties. space:
    embeddings, or None. known: (L, D) labelled frames in that space, or None.
    """

    values: FloatArray
    rank: IntArray
    rng: np.random.Generator
    space: EmbeddingSpace | None = None
    known: Float32Array | None = None

    def weights(self) -> FloatArray:
        """Return (N,) the values shifted to 0 or above, for use as weights."""
        least = float(self.values.min(initial=0))
        return self.values - least if least < 0 else self.values

    def spread_weights(self) -> FloatArray:
        """Return the weights with a floor, so that distant clusters of value 0 are reachable.

        The floor is a thousandth of the largest weight; if all are 0, all weights are equal.
        """
        weights = self.weights()
        most = float(weights.max(initial=0))
        return np.maximum(weights, 1e-3 * most) if most > 0 else np.ones(len(weights))

    def draws(self) -> FloatArray:
        """Return (N,) uniform numbers in 0..1, assigned to frames independently of their order."""
        return self.rng.random(len(self.values))[self.rank]

    def needed_space(self, selector: str) -> EmbeddingSpace:
        """Return the space, or raise InvalidPoolError naming the selector that needs it."""
        if self.space is None:
            raise InvalidPoolError(
                f"{selector} compares frames by their embeddings, but the pool has none; set "
                "pool.embeddings, or choose a strategy that uses scores only"
            )
        return self.space


class Selector(Protocol):
    """Select frames one after another, within the limits."""

    def __call__(self, choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
        """Return the selected rows, in order: min(budget, what the limits permit)."""
        ...


def top_k(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Select the highest values, ties by rank."""
    return take_in_order(choice.values, choice.rank, limits, budget=budget)


def random(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Select frames uniformly at random."""
    return take_in_order(choice.draws(), choice.rank, limits, budget=budget)


def weighted_random(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Draw without replacement with probabilities proportional to the values.

    Exponential race: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    Frames of value 0 come last, in random order.
    """
    weights = choice.weights()
    race = -np.log1p(-choice.draws())
    with np.errstate(divide="ignore"):
        keys = np.where(weights > 0, np.log(weights) - np.log(np.maximum(race, 1e-300)), -np.inf)
    lowest = keys[weights > 0].min(initial=0)
    keys[weights <= 0] = lowest - 1 - race[weights <= 0]
    return take_in_order(keys, choice.rank, limits, budget=budget)


def take_in_order(
    keys: FloatArray,
    rank: IntArray,
    limits: SelectionLimits,
    *,
    budget: int,
    rows: IntArray | None = None,
) -> IntArray:
    """Select by descending key, ties by rank, what the limits permit.

    rows: restrict to these; None for the whole pool.
    """
    taken: list[int] = []
    left = np.flatnonzero(limits.open) if rows is None else rows[limits.open[rows]]
    while len(taken) < budget and len(left):
        part = top_rows(keys[left], max(_WALK, 2 * (budget - len(taken))), rank[left])
        _take(left[part], limits, taken, budget)
        keep = np.ones(len(left), bool)
        keep[part] = False
        left = left[keep]
    return np.asarray(taken, np.int64)


def _take(rows: IntArray, limits: SelectionLimits, taken: list[int], budget: int) -> None:
    """Select from rows, in order; admissibility is checked in blocks, to be fast."""
    while len(rows) and len(taken) < budget:
        block, rows = rows[:_WALK], rows[_WALK:]
        since = limits.mark
        for row in block[limits.admissible(block)]:
            if len(taken) == budget:
                return
            if limits.still_admissible(int(row), since):
                limits.take(int(row))
                taken.append(int(row))
