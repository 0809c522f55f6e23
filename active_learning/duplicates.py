"""Group near-duplicate frames, for data splits and for selection."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray
from active_learning.selectors.distances import EmbeddingSpace, squared_distances

_BLOCK, _SAMPLE = 1024, 4096


def duplicate_groups(embeddings: FloatArray, *, near_duplicate: float = 0.05) -> IntArray:
    """Return (N,) int64 group of each frame: near-duplicates share a group, transitively.

    embeddings: (N, D), finite. near_duplicate: as in SelectionSettings, a share of the typical
    distance; 0 groups only exact copies. Groups are numbered by their first frame.

    Exact. Frames are sorted along the direction of largest variance and compared only within the
    radius along it, so the cost is N² times the share of the pool inside the radius: suitable for
    tens of thousands of frames, not for a million. Raises InvalidPoolError on another shape or a
    value that is not finite.
    """
    if embeddings.ndim != 2 or not np.isfinite(embeddings).all():
        raise InvalidPoolError(f"embeddings must be (N, D) and finite, found {embeddings.shape}")
    if not 0 <= near_duplicate < np.inf:
        raise InvalidPoolError(f"near_duplicate must be 0 or more, found {near_duplicate}")
    # Exact copies are merged first, so that they are compared once.
    rows, copies = np.unique(np.asarray(embeddings, np.float32), axis=0, return_inverse=True)
    copies = np.asarray(copies).reshape(-1)
    if not len(rows):
        return np.zeros(0, np.int64)
    space = EmbeddingSpace.of(np.asarray(embeddings))
    vectors = space.place(rows)
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    widest = np.linalg.svd(sample - sample.mean(axis=0), full_matrices=False)[2][:1].T
    along = (vectors @ widest)[:, 0]
    order = np.argsort(along, kind="stable")
    along, vectors = along[order], vectors[order]
    joined = DisjointSet(range(len(rows)))
    for start in range(0, len(rows), _BLOCK):
        stop = min(start + _BLOCK, len(rows))
        end = int(np.searchsorted(along, along[stop - 1] + near_duplicate, side="right"))
        for low in range(start, end, 8 * _BLOCK):
            high = min(low + 8 * _BLOCK, end)
            near = squared_distances(vectors[start:stop], vectors[low:high]) <= near_duplicate**2
            left, right = np.nonzero(near)
            for one, other in zip((left + start).tolist(), (right + low).tolist(), strict=True):
                joined.merge(one, other)
    groups = np.empty(len(rows), np.int64)
    for number, subset in enumerate(joined.subsets()):
        groups[order[list(subset)]] = number
    return _by_first(groups[copies])


def _by_first(groups: IntArray) -> IntArray:
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[np.asarray(inverse).reshape(-1)]
