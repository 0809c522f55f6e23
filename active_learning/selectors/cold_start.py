"""Selection for the first batches, without a model: typical frames before unusual ones.

Selection by uncertainty with few labels can be much worse than at random; typical frames are better
(Hacohen, Dekel and Weinshall, 2022). Both selectors use embeddings only.
"""

from __future__ import annotations

import numpy as np

from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.clusters import (
    MOST_CLUSTERED,
    clusters,
    known_vectors,
    representatives,
)
from active_learning.selectors.distances import Float32Array, squared_distances
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.rankings import SelectorInput

_MOST_COVERED = 8_192  # larger pools are represented by a random sample
_MOST_CLUSTERS, _SMALL_CLUSTER, _NEIGHBOURS = 500, 5, 20
_REFERENCES = 2048
_PURITY, _PSEUDO_CLASSES = 0.95, 10


def typiclust(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Select the most typical frame of each large cluster without a label.

    TypiClust: Hacohen, Dekel and Weinshall, "Active learning on a budget", ICML 2022 (arXiv
    2202.02794). As there: as many clusters as labels there will be, at most 500; clusters with the
    fewest labels first, of those the largest; typicality is the inverse of the mean distance to 20
    neighbours of the cluster. Different here: pools above 20,000 frames are represented by a random
    sample, and the embeddings are the caller's, not those of a self-supervised network.
    """
    space = choice.needed_space("typiclust")
    rows = representatives(choice, limits, max(MOST_CLUSTERED, 4 * budget))
    vectors = space.rows(rows)
    known = known_vectors(choice, space.width)
    count = min(len(known) + budget, _MOST_CLUSTERS, len(rows) + len(known))
    if not len(rows) or budget < 1:
        return np.zeros(0, np.int64)
    labels = clusters(np.concatenate([vectors, known]), count, choice.rng)
    own, labelled = labels[: len(rows)], np.bincount(labels[len(rows) :], minlength=count)
    sizes = np.bincount(own, minlength=count)
    queues = {
        int(cluster): _by_typicality(np.flatnonzero(own == cluster), vectors)
        for cluster in np.unique(own)
    }
    taken: list[int] = []
    while queues and len(taken) < budget:
        cluster = min(queues, key=lambda c: (labelled[c], sizes[c] <= _SMALL_CLUSTER, -sizes[c], c))
        row = next((r for r in queues[cluster] if limits.admissible(rows[r : r + 1])[0]), None)
        if row is None:
            del queues[cluster]
            continue
        queues[cluster] = queues[cluster][np.flatnonzero(queues[cluster] == row)[0] + 1 :]
        state = "no label yet" if not labelled[cluster] else "few labels"
        labelled[cluster] += 1
        many = "1 frame" if sizes[cluster] == 1 else f"{sizes[cluster]} frames"
        limits.take(int(rows[row]), f"typical of a cluster of {many} with {state}")
        taken.append(int(rows[row]))
    return np.asarray(taken, np.int64)


def probcover(choice: SelectorInput, limits: SelectionLimits, *, budget: int) -> IntArray:
    """Repeatedly select the frame whose ball covers the most uncovered frames.

    ProbCover: Yehuda, Dekel, Hacohen and Weinshall, "Active learning through a covering lens",
    NeurIPS 2022 (arXiv 2205.11320). As there: the radius is the largest at which 95 % of the balls
    hold frames of one pseudo-class only, pseudo-classes being k-means clusters. Different here: 10
    clusters, since the number of scenes is unknown; pools above 8,192 frames are represented by a
    random sample; once all is covered, a second cover starts.
    """
    space = choice.needed_space("probcover")
    rows = representatives(choice, limits, max(_MOST_COVERED, budget))
    if not len(rows) or budget < 1:
        return np.zeros(0, np.int64)
    vectors = space.rows(rows)
    radius = _pure_radius(vectors, choice.rng)
    near = np.empty((len(rows), len(rows)), bool)
    for start in range(0, len(rows), 1024):
        part = slice(start, start + 1024)
        near[part] = squared_distances(vectors[part], vectors) <= radius**2
    covered = np.zeros(len(rows), bool)
    known = known_vectors(choice, space.width)
    if len(known):
        for start in range(0, len(known), 1024):
            gaps = squared_distances(vectors, known[start : start + 1024])
            covered |= gaps.min(axis=1) <= radius**2
    # All balls have the same radius, so the neighbourhood matrix is symmetric.
    alone, degree = near.sum(axis=0), near[~covered].sum(axis=0)
    left = np.ones(len(rows), bool)
    taken: list[int] = []
    while len(taken) < budget and left.any():
        best = int(np.argmax(np.where(left, degree, -1)))
        left[best] = False
        if not limits.admissible(rows[best : best + 1])[0]:
            continue
        fresh = near[best] & ~covered
        limits.take(int(rows[best]), f"represents {int(fresh.sum())} similar frames")
        taken.append(int(rows[best]))
        covered |= fresh
        alone = alone - near[best]
        if covered.all():
            covered, degree = ~left, alone.copy()
        else:
            degree = degree - near[fresh].sum(axis=0)
    return np.asarray(taken, np.int64)


def _by_typicality(members: IntArray, vectors: Float32Array) -> IntArray:
    """Return the members of a cluster, most typical first; ties keep their order.

    In a large cluster the neighbours are searched among its first 2,048, a random sample.
    """
    if len(members) < 3:
        return members
    others = vectors[members[:_REFERENCES]]
    count = min(_NEIGHBOURS, len(others) - 1)
    mean: FloatArray = np.empty(len(members))
    for start in range(0, len(members), 1024):
        gaps = squared_distances(vectors[members[start : start + 1024]], others)
        own = np.arange(start, min(start + len(gaps), len(others)))
        gaps[own - start, own] = np.inf  # a frame is not its own neighbour
        near = np.partition(gaps, count - 1, axis=1)[:, :count]
        mean[start : start + 1024] = np.sqrt(near).mean(axis=1)
    return members[np.argsort(mean, kind="stable")]


def _pure_radius(vectors: Float32Array, rng: np.random.Generator) -> float:
    labels = clusters(vectors, min(_PSEUDO_CLASSES, len(vectors)), rng)
    if len(np.unique(labels)) < 2:
        return 0.0
    foreign = np.empty(len(vectors))
    for start in range(0, len(vectors), 1024):
        part = slice(start, start + 1024)
        gaps = squared_distances(vectors[part], vectors)
        gaps[labels[part, None] == labels[None, :]] = np.inf
        foreign[part] = gaps.min(axis=1)
    return float(np.sqrt(np.quantile(foreign, 1 - _PURITY)))
