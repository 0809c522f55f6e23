"""k-means++ seeding: draw frames with probabilities that grow with their distance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.distances import EmbeddingSpace, Float32Array, squared_distances
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.rankings import SelectorInput

_DRAWS = 256


def k_means_pp(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Draw frames with probability proportional to value * squared distance to selected ones.

    Arthur and Vassilvitskii, "k-means++", 2007. For active learning: BADGE (Ash et al., ICLR 2020,
    arXiv 1906.03671) uses it on gradient embeddings, PPAL (Yang et al., CVPR 2024, arXiv
    2211.11612) on the most uncertain frames. Here the uncertainty weights the draw instead of
    scaling the embedding, and the first frame is drawn by value alone. Labelled frames count as
    selected.

    The draw is exact, but the pool is read a few times, not `budget` times. Distances only
    decrease, so earlier probabilities are upper bounds: a frame is drawn by those and accepted with
    probability true / earlier. When too many are rejected, one matrix product updates all
    distances.
    """
    space = choice.needed_space("k_means_pp")
    order = np.argsort(choice.rank)
    weights = choice.spread_weights()
    if not weights[limits.open].any():
        weights = np.ones(len(weights))
    taken: list[int] = []
    refused = np.zeros(len(weights), bool)
    if choice.known is not None and len(choice.known):
        nearest = space.nearest(choice.known)
    else:
        nearest = np.full(len(weights), np.inf, np.float32)
        first = _draw_first(choice, limits, weights, order, refused)
        if first is None or budget < 1:
            return np.zeros(0, np.int64)
        taken.append(first)
        space.shrink(nearest, space.rows(np.array([first])))
    while len(taken) < budget:
        chances = weights * nearest
        chances[~limits.room() | refused | (nearest <= limits.floor)] = 0
        if not chances.any():
            break
        fresh = _draw(choice, space, limits, chances, nearest, order, refused, budget - len(taken))
        taken += fresh
        if fresh and len(taken) < budget:
            space.shrink(nearest, space.rows(np.array(fresh)))
    _take_rest(choice, limits, taken, nearest, refused, budget)
    return np.asarray(taken, np.int64)


def _draw_first(
    choice: SelectorInput,
    limits: SelectionLimits,
    weights: FloatArray,
    order: IntArray,
    refused: NDArray[np.bool_],
) -> int | None:
    while True:
        sums = np.cumsum(np.where(limits.room() & ~refused, weights, 0)[order])
        if not len(sums) or sums[-1] <= 0:
            return None
        row = int(order[_place(sums, choice.rng.random())])
        if limits.admissible(np.array([row]))[0]:
            limits.take(row)
            return row
        refused[row] = True


def _draw(
    choice: SelectorInput,
    space: EmbeddingSpace,
    limits: SelectionLimits,
    chances: FloatArray,
    nearest: Float32Array,
    order: IntArray,
    refused: NDArray[np.bool_],
    budget: int,
) -> list[int]:
    sums = np.cumsum(chances[order])
    fresh: list[int] = []
    centres = np.empty((0, space.width), np.float32)
    sent_back, patience = 0, max(64, len(chances) // 64)
    while len(fresh) < budget and sent_back < patience:
        draws = min(_DRAWS, 4 * (budget - len(fresh)) + 8)
        rows = order[_place(sums, choice.rng.random(draws))]
        coins = choice.rng.random(draws)
        vectors = space.rows(rows)
        gaps = nearest[rows].copy()
        if len(centres):
            np.minimum(gaps, squared_distances(vectors, centres).min(axis=1), out=gaps)
        for i, row in enumerate(rows):
            keep = limits.open[row] and not refused[row] and coins[i] * nearest[row] < gaps[i]
            if keep and not limits.admissible(rows[i : i + 1])[0]:
                refused[row] = True
                keep = False
            if not keep:
                sent_back += 1
                continue
            limits.take(int(row))
            fresh.append(int(row))
            centres = np.concatenate([centres, vectors[i : i + 1]])
            own = squared_distances(vectors, vectors[i : i + 1])[:, 0]
            np.minimum(gaps, own, out=gaps)
            if len(fresh) == budget:
                break
    return fresh


def _place(sums: FloatArray, draws: float | FloatArray) -> IntArray:
    """Return the indices in a cumulative sum for draws in 0..1; never one of weight 0."""
    found = np.searchsorted(sums, np.asarray(draws) * sums[-1], side="right")
    last = np.searchsorted(sums, sums[-1], side="left")
    return np.asarray(np.minimum(found, last), np.int64)


def _take_rest(
    choice: SelectorInput,
    limits: SelectionLimits,
    taken: list[int],
    nearest: Float32Array,
    refused: NDArray[np.bool_],
    budget: int,
) -> None:
    """Select frames of probability 0 (value 0, or distance 0) last, by rank."""
    if len(taken) == budget:
        return
    left = np.flatnonzero(limits.room() & ~refused & (nearest > limits.floor))
    left = left[np.argsort(choice.rank[left])]
    for start in range(0, len(left), _DRAWS):
        block = left[start : start + _DRAWS]
        for row in block[limits.admissible(block)]:
            if len(taken) == budget:
                return
            if limits.admissible(np.array([row]))[0]:
                limits.take(int(row))
                taken.append(int(row))
