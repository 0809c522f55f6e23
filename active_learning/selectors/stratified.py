"""Stratified selection: each kind of frame in proportion, of each the most valuable."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.clusters import (
    MOST_CLUSTERED,
    clusters,
    known_vectors,
    representatives,
)
from active_learning.selectors.distances import EmbeddingSpace, Float32Array, squared_distances
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.rankings import SelectorInput, take_in_order

_MOST_STRATA = 64  # more strata gain nothing (Cochran, 5A.8)


def stratified(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Select the most valuable frames of each stratum, in proportion to its share of the pool.

    Strata are k-means clusters of the embeddings, about as many as the square root of the labels
    after this batch. Labelled frames count: the stratum furthest behind its share is next.
    Proportional allocation (Cochran, Sampling Techniques, 1977, ch. 5) keeps the proportions of the
    pool, whatever the values; so a kind of frame that an early model finds uncertain everywhere, or
    that is merely crowded, cannot dominate the batch. Zhdanov, "Diverse mini-batch active
    learning", 2019 (arXiv 1901.05954) clusters for the same purpose; there informativeness weights
    the clusters and the frame nearest to each centre is selected, here it selects within them.
    """
    space = choice.needed_space("stratified")
    members, lags = _strata(choice, space, limits, budget)
    taken: list[int] = []
    # A stratum may have fewer frames than its share: the others then share the rest.
    while members and len(taken) < budget:
        for stratum, count in _allocation(lags, sorted(members), budget - len(taken)).items():
            rows = members[stratum]
            found = take_in_order(choice.values, choice.rank, limits, budget=count, rows=rows)
            taken += found.tolist()
            why = f"among the most informative of {len(members[stratum])} frames of its kind"
            limits.whys.update(dict.fromkeys(found.tolist(), why))
            lags[stratum] -= len(found)
            if len(found) < count:
                del members[stratum]
    return np.asarray(taken, np.int64)


def stratified_random(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Select frames of each stratum at random, in proportion to its share of the pool.

    Stratified random sampling with proportional allocation (Cochran, 1977, ch. 5): estimates from
    such a sample are at least as precise as from plain random sampling. Values are not used.
    """
    drawn = replace(choice, values=choice.draws())
    taken = stratified(drawn, limits, budget=budget)
    limits.whys.update(dict.fromkeys(taken.tolist(), "drawn at random among frames of its kind"))
    return taken


def _strata(
    choice: SelectorInput, space: EmbeddingSpace, limits: SelectionLimits, budget: int
) -> tuple[dict[int, IntArray], FloatArray]:
    """Return the open rows of each stratum, and how many labels it is behind its share."""
    rows = representatives(choice, limits, MOST_CLUSTERED)
    if not len(rows) or budget < 1:
        return {}, np.zeros(0)
    known = known_vectors(choice, space.width)
    labels = len(known) + budget
    count = min(math.isqrt(labels - 1) + 1, _MOST_STRATA, len(rows))
    vectors = space.rows(rows)
    found = clusters(vectors, count, choice.rng)
    centres = np.stack([vectors[found == one].mean(axis=0) for one in np.unique(found)])
    stratum = np.concatenate([_nearest(block, centres) for _, block in space.blocks()])
    labelled = np.bincount(_nearest(known, centres), minlength=len(centres))
    sizes = np.bincount(stratum[limits.open], minlength=len(centres)) + labelled
    members: dict[int, IntArray] = {
        one: np.flatnonzero(limits.open & (stratum == one))
        for one in np.flatnonzero(sizes).tolist()
    }
    return members, np.asarray(sizes / sizes.sum() * labels - labelled, float)


def _nearest(vectors: Float32Array, centres: Float32Array) -> IntArray:
    return np.asarray(squared_distances(vectors, centres).argmin(axis=1), np.int64)


def _allocation(lags: FloatArray, strata: list[int], budget: int) -> dict[int, int]:
    """Allocate the budget, one by one, to the stratum furthest behind its share."""
    left = lags[strata].copy()
    counts = np.zeros(len(strata), np.int64)
    for _ in range(budget):
        place = int(np.argmax(left))
        left[place] -= 1
        counts[place] += 1
    return {one: int(count) for one, count in zip(strata, counts, strict=True) if count}
