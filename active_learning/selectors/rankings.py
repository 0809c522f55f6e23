"""From values and embeddings to a batch: the order in which frames are taken.

A selector takes at most `budget` rows that the limits admit and returns them in the order taken.
It returns fewer when the limits leave fewer.
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
    """What a selector chooses by.

    values: (N,) how much each frame is worth by itself. rank: (N,) order that settles ties.
    space: embeddings, or None. known: (L, D) labelled frames placed in that space, or None.
    """

    values: FloatArray
    rank: IntArray
    rng: np.random.Generator
    space: EmbeddingSpace | None = None
    known: Float32Array | None = None

    def weights(self) -> FloatArray:
        """Return (N,) the values moved to 0 or above, so that they can weigh a draw."""
        least = float(self.values.min(initial=0))
        return self.values - least if least < 0 else self.values

    def spread_weights(self) -> FloatArray:
        """Return the weights with a floor: a far cluster is seen though its frames are worth 0.

        The floor is a thousandth of the greatest weight; where all are 0 all weigh the same.
        """
        weights = self.weights()
        most = float(weights.max(initial=0))
        return np.maximum(weights, 1e-3 * most) if most > 0 else np.ones(len(weights))

    def draws(self) -> FloatArray:
        """Return (N,) uniform numbers in 0..1 that belong to the frames, whatever their order."""
        return self.rng.random(len(self.values))[self.rank]

    def needed_space(self, selector: str) -> EmbeddingSpace:
        """Return the space, or raise InvalidPoolError naming the selector that reads it."""
        if self.space is None:
            raise InvalidPoolError(
                f"{selector} compares frames by their embeddings and the pool has none; give "
                "pool.embeddings, or choose a strategy that reads scores alone"
            )
        return self.space


class Selector(Protocol):
    """Takes frames one after another, within the limits."""

    def __call__(self, choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
        """Return the rows taken, in the order taken: min(budget, what the limits admit)."""
        ...


def top_k(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Take the highest values, ties by rank."""
    return take_in_order(choice.values, choice.rank, limits, budget=budget)


def random(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Take any frames, each as likely as the next."""
    return take_in_order(choice.draws(), choice.rank, limits, budget=budget)


def weighted_random(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Draw without replacement with chances proportional to the values.

    Exponential race: Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006.
    Frames of value 0 come last, in a random order of their own.
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
    """Walk the keys from the highest down, ties by rank, and take what the limits admit.

    rows: walk these alone; None walks the whole pool.
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
    """Take from rows, in order. Refusals are found a block at a time, so that they cost little."""
    while len(rows) and len(taken) < budget:
        block, rows = rows[:_WALK], rows[_WALK:]
        since = limits.mark
        for row in block[limits.admissible(block)]:
            if len(taken) == budget:
                return
            if limits.still_admissible(int(row), since):
                limits.take(int(row))
                taken.append(int(row))
