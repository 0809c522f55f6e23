"""An order of frames by content, independent of their positions and names.

Random draws and ties follow it, so that a pool in another order, or with other names, gives the
same batch. Frames with equal content are ordered by their ids.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from active_learning.pool import FloatArray, IntArray, Pool

UInt64Array = NDArray[np.uint64]

_BLOCK_ENTRIES = 1 << 20


def content_rank(pool: Pool) -> IntArray:
    """Return (N,) int64: the rank of each frame in content order."""
    count = len(pool)
    digest = np.zeros(count, np.uint64)
    if pool.embeddings is not None:
        digest += _row_digest(pool.embeddings, salt=1)
    if pool.scores is not None:
        digest += _row_digest(pool.scores[:, None], salt=2)
    if pool.objects is not None:
        objects = _row_digest(pool.objects.probabilities, salt=3)
        if pool.objects.boxes is not None:
            objects += _row_digest(pool.objects.boxes, salt=4)
        if pool.objects.disagreement is not None:
            objects += _row_digest(pool.objects.disagreement[:, None], salt=5)
        sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(_mix(objects), dtype=np.uint64)])
        offsets = np.asarray(pool.objects.offsets)
        digest += sums[offsets[1:]] - sums[offsets[:-1]]
    order = np.argsort(_mix(digest), kind="stable")
    mixed = _mix(digest)[order]
    twins = np.zeros(count, bool)
    twins[1:] = mixed[1:] == mixed[:-1]
    if twins.any():
        twins[:-1] |= twins[1:]
        places = np.flatnonzero(twins)
        among = order[places]
        order[places] = among[np.lexsort((pool.ids[among], mixed[places]))]
    rank = np.empty(count, np.int64)
    rank[order] = np.arange(count)
    return rank


def _row_digest(values: FloatArray, *, salt: int) -> UInt64Array:
    """Return a multilinear hash of each row's float32 bits: sum of bits * odd numbers, mod 2^64."""
    count, width = values.shape
    factors = np.random.default_rng([salt, width]).integers(0, 2**63, width, dtype=np.uint64)
    factors = factors * np.uint64(2) + np.uint64(1)
    digest = np.empty(count, np.uint64)
    step = max(1, _BLOCK_ENTRIES // max(1, width))
    for start in range(0, count, step):
        # Adding zero turns -0.0 into 0.0, which is the same content.
        block = np.ascontiguousarray(values[start : start + step], np.float32) + np.float32(0)
        bits = block.view(np.uint32).astype(np.uint64)
        bits *= factors
        digest[start : start + step] = bits.sum(axis=1, dtype=np.uint64)
    return digest


def _mix(digest: UInt64Array) -> UInt64Array:
    """Mix the bits (the finaliser of splitmix64)."""
    mixed = digest + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def top_rows(values: FloatArray, count: int, rank: IntArray) -> IntArray:
    """Return the rows of the `count` highest values, highest first, ties by rank. Linear time."""
    total = len(values)
    if count < total:
        bar = -np.partition(-values, count - 1)[count - 1] if count > 0 else np.inf
        above = np.flatnonzero(values > bar)
        level = np.flatnonzero(values == bar)
        missing = count - len(above)
        if missing < len(level):
            level = level[np.argpartition(rank[level], missing)[:missing]]
        rows = np.concatenate([above, level])
    else:
        rows = np.arange(total)
    ordered: IntArray = rows[np.lexsort((rank[rows], -values[rows]))]
    return ordered
