"""k-means clusters of a pool's embeddings, computed on a sample of large pools."""

from __future__ import annotations

import warnings

import numpy as np

from active_learning.pool import IntArray
from active_learning.selectors.distances import EmbeddingSpace, Float32Array
from active_learning.selectors.k_means_pp import k_means_pp
from active_learning.selectors.limits import SelectionLimits
from active_learning.selectors.ordering import top_rows
from active_learning.selectors.rankings import SelectorInput

# Larger pools are represented by a random sample: clusters of 20,000 frames show what is
# typical of a million.
MOST_CLUSTERED = 20_000
_STILL = 1e-3  # share of frames that may still change cluster at convergence
_MOST_STEPS = 30  # of k-means; well-spread seeds make it converge early


def representatives(choice: SelectorInput, limits: SelectionLimits, most: int) -> IntArray:
    """Return the open rows in content order, or a random sample of them if there are too many."""
    rows = np.flatnonzero(limits.open)
    if len(rows) > most:
        rows = rows[top_rows(choice.draws()[rows], most, choice.rank[rows])]
    return rows[np.argsort(choice.rank[rows])]


def known_vectors(choice: SelectorInput, width: int) -> Float32Array:
    """Return (L, width) embeddings of the labelled frames; L is 0 if there are none."""
    return choice.known if choice.known is not None else np.zeros((0, width), np.float32)


def clusters(vectors: Float32Array, count: int, rng: np.random.Generator) -> IntArray:
    """Return (N,) the k-means cluster of each of the (N, D) vectors, 0 .. count - 1."""
    if count >= len(vectors):
        return np.arange(len(vectors))
    start = SelectorInput(
        values=np.ones(len(vectors)),
        rank=np.arange(len(vectors)),
        rng=rng,
        space=EmbeddingSpace.of(vectors),
    )
    seeds = vectors[k_means_pp(start, SelectionLimits(np.ones(len(vectors), bool)), budget=count)]
    # Imported here: slow to load, and not every strategy needs it.
    from scipy.cluster.vq import kmeans2

    centres, found = seeds, np.full(len(vectors), -1)
    with warnings.catch_warnings():
        # Fewer distinct frames than clusters is not an error: empty clusters are never used.
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(_MOST_STEPS):
            before = found
            centres, found = kmeans2(vectors, centres, iter=1, minit="matrix", missing="warn")
            if np.count_nonzero(found != before) <= _STILL * len(vectors):
                break
    return np.asarray(found, np.int64)
