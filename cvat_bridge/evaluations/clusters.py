"""Frames that look alike, as a few groups."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST, EACH = 8, 15  # clusters at most, and frames that one should have
_SAMPLE = 5000


def clusters_of(
    vectors: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the centres (K, D) and each frame's cluster (N,), by k-means from k-means++ seeds.

    vectors: (N, D) of length 1. K grows with N, from 1. The same vectors give the same clusters.
    """
    from scipy.cluster.vq import kmeans2

    known = vectors[np.any(vectors, axis=1)]
    most = min(MOST, len(known) // EACH)
    if most < 2:
        centre = vectors.mean(axis=0, keepdims=True)
        return centre, nearest(vectors, centre)
    sample = known[:: max(1, len(known) // _SAMPLE)].astype(np.float64)
    centres, _ = kmeans2(sample, _seeds(sample, most), minit="matrix")
    found = centres.astype(np.float32)
    return found, nearest(vectors, found)


def _seeds(vectors: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Draw rows far from one another: Arthur and Vassilvitskii, k-means++ (SODA 2007)."""
    rng = np.random.default_rng(0)
    rows = [int(rng.integers(len(vectors)))]
    away = ((vectors - vectors[rows[0]]) ** 2).sum(axis=1)
    while len(rows) < count and away.sum() > 0:
        rows.append(int(rng.choice(len(vectors), p=away / away.sum())))
        away = np.minimum(away, ((vectors - vectors[rows[-1]]) ** 2).sum(axis=1))
    return vectors[rows]


def nearest(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.int32]:
    """Return the nearest centre of each row; -1 for a row of zeros, of which nothing is known."""
    away = (centres**2).sum(axis=1)[None] - 2 * vectors @ centres.T
    return np.where(np.any(vectors, axis=1), away.argmin(axis=1), -1).astype(np.int32)
