"""Greedy k-centre: each selected frame is the farthest from all selected before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.distances import EmbeddingSpace, squared_distances_to
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.ordering import top_rows
from active_learning.selectors.rankings import SelectorInput, take_in_order

_LEAST_CANDIDATES = 1024
_SHARE = 32


def k_center(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Repeatedly select the frame of largest value * distance to labelled and selected frames.

    Gonzalez 1985; as a core-set for labelling: Sener and Savarese, "Active learning for
    convolutional neural networks: a core-set approach", ICLR 2018 (arXiv 1708.00489). They use no
    weights; here a frame's value multiplies its distance, and equal values give the original.
    Without labelled frames the first is the one of highest value, among ties the one nearest to the
    mean of the pool.

    The greedy result is exact, but the pool is read a few times, not `budget` times. Distances only
    decrease, so a frame among the currently farthest that still beats all others, whose stored
    distances are upper bounds, is the true farthest. When none beats them, one matrix product
    updates all distances.
    """
    space = choice.needed_space("k_center")
    weights = choice.spread_weights()
    taken: list[int] = []
    if choice.known is not None and len(choice.known):
        nearest = space.nearest(choice.known)
    else:
        first = _first(choice, space, limits)
        if first is None or budget < 1:
            return np.zeros(0, np.int64)
        limits.take(first)
        taken.append(first)
        nearest = space.nearest(space.rows(np.array(taken)))
    refused = np.zeros(len(weights), bool)
    while len(taken) < budget:
        refused |= nearest <= limits.floor
        left = np.flatnonzero(limits.room() & ~refused)
        if not len(left):
            break
        keys = weights[left] * np.sqrt(nearest[left])
        if not keys.any():
            # Copies of selected frames, or frames of value 0: all distances are equal.
            level = -choice.rank.astype(float)
            taken += take_in_order(level, choice.rank, limits, budget=budget - len(taken)).tolist()
            break
        fresh = _race(choice, space, limits, left, keys, refused, budget - len(taken))
        taken += fresh
        if fresh and len(taken) < budget:
            space.shrink(nearest, space.rows(np.array(fresh)))
    return np.asarray(taken, np.int64)


def _first(choice: SelectorInput, space: EmbeddingSpace, limits: SelectionLimits) -> int | None:
    left = np.flatnonzero(limits.open)
    left = left[limits.admissible(left)]
    if not len(left):
        return None
    left = left[choice.values[left] == choice.values[left].max()]
    return int(left[top_rows(-space.norms[left], 1, choice.rank[left])[0]])


def _race(
    choice: SelectorInput,
    space: EmbeddingSpace,
    limits: SelectionLimits,
    left: IntArray,
    keys: FloatArray,
    refused: NDArray[np.bool_],
    budget: int,
) -> list[int]:
    """Select frames as long as one of the farthest is provably the farthest of all."""
    count = min(len(left), max(_LEAST_CANDIDATES, 2 * budget, len(left) // _SHARE))
    part = top_rows(keys, count, choice.rank[left])
    rows, keys = left[part], keys[part]
    everyone = count == len(left)
    bar = float(keys[-1])
    vectors, norms = space.rows(rows), space.norms[rows]
    weights = choice.spread_weights()[rows]
    fresh: list[int] = []
    settled = False
    while len(fresh) < budget:
        best = int(np.argmax(keys))
        # At the bound itself a frame outside may tie, so only the first step may go that low.
        if keys[best] < 0 or (settled and not everyone and keys[best] <= bar):
            break
        settled = True
        row = int(rows[best])
        keys[best] = -1
        if not limits.admissible(rows[best : best + 1])[0]:
            refused[row] = True
            continue
        limits.take(row)
        fresh.append(row)
        gaps = squared_distances_to(vectors[best], vectors, norms)
        np.minimum(keys, weights * np.sqrt(gaps), out=keys)
        hopeful = keys > (-1 if everyone else bar)
        if 2 * int(hopeful.sum()) < len(keys) and hopeful.any():
            rows, keys, vectors = rows[hopeful], keys[hopeful], vectors[hopeful]
            norms, weights = norms[hopeful], weights[hopeful]
    return fresh
