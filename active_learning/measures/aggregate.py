"""Aggregate object values to frame values, with a defined value for frames without objects.

Frames without candidate objects provide no evidence. They get a quantile of the values of frames
with objects (`empty_frame_quantile`): 0 equals the least informative frame, 0.5 the median, 1 the
most informative one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray

_READINGS = 8
Aggregation = Callable[[FloatArray, IntArray], FloatArray]


def largest(values: FloatArray, offsets: IntArray) -> FloatArray:
    """Return (F,) the largest value of each frame; finds single uncertain objects."""
    return np.asarray(np.maximum.reduceat(values, offsets[:-1]), float)


def total(values: FloatArray, offsets: IntArray) -> FloatArray:
    """Return (F,) the sum of each frame; favours crowded frames, which also cost more."""
    return np.asarray(np.add.reduceat(values, offsets[:-1]), float)


def mean(values: FloatArray, offsets: IntArray) -> FloatArray:
    """Return (F,) the mean of each frame; one uncertain object among many hardly counts."""
    return total(values, offsets) / np.diff(offsets)


def capped_total(values: FloatArray, offsets: IntArray) -> FloatArray:
    """Return (F,) the sum of each frame's largest values, of as many as the median frame has.

    A frame with more objects than the median gains nothing by their number: it costs more to label,
    and one crowded kind of frame would dominate the batch. Up to there objects add up, so a frame
    with two uncertain objects is worth more than a frame with one.
    """
    counts = np.diff(offsets)
    cap = max(1, int(np.median(counts)))
    return top_mean(values, offsets, k=cap) * np.minimum(counts, cap)


def top_mean(values: FloatArray, offsets: IntArray, *, k: int = 3) -> FloatArray:
    """Return (F,) the mean of each frame's k largest values, over fewer where it has fewer."""
    counts = np.diff(offsets)
    frames = np.repeat(np.arange(len(counts)), counts)
    left, sums = np.array(values, float), np.zeros(len(counts))
    # k passes find the k largest faster than a sort, unless k is large.
    for _ in range(min(k, _READINGS, int(counts.max(initial=0)))):
        best = largest(left, offsets)
        sums += np.where(np.isfinite(best), best, 0.0)
        rows = np.flatnonzero(left == best[frames])
        rows = rows[np.append(True, frames[rows][1:] != frames[rows][:-1])]
        left[rows] = -np.inf
    if k > _READINGS:
        order = np.lexsort((-left, frames))
        place = np.arange(len(left)) - offsets[frames]
        rest = (place < k - _READINGS) & np.isfinite(left[order])
        sums += total(np.where(rest, left[order], 0.0), offsets)
    return np.asarray(sums / np.minimum(counts, k))


AGGREGATIONS: dict[str, Aggregation] = {
    "capped_sum": capped_total,
    "max": largest,
    "mean": mean,
    "sum": total,
    "topk_mean": top_mean,
}


def frame_values(
    values: FloatArray,
    offsets: IntArray,
    *,
    aggregation: str,
    k: int = 3,
    empty_frame_quantile: float = 0.0,
    weights: FloatArray | None = None,
) -> FloatArray:
    """Return (N,) one value per frame from (M,) object values.

    k: how many objects "topk_mean" averages. empty_frame_quantile: quantile, 0..1, that frames
    without objects get. weights: (M,) factor of each object, for example its class need, or None.
    Raises InvalidPoolError on an unknown aggregation, a value that is not finite or a setting out
    of range. When no frame has an object, every frame gets 0.
    """
    if aggregation not in AGGREGATIONS:
        raise InvalidPoolError(
            f"no aggregation {aggregation!r}; there are {', '.join(sorted(AGGREGATIONS))}"
        )
    if k < 1:
        raise InvalidPoolError(f"k of topk_mean must be 1 or more, found {k}")
    if not 0 <= empty_frame_quantile <= 1:
        raise InvalidPoolError(
            f"empty_frame_quantile must lie in 0..1, found {empty_frame_quantile}"
        )
    if weights is not None:
        values = values * weights
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise InvalidPoolError(f"the value of object row {row} is not finite: {values[row]}")
    offsets = np.asarray(offsets)
    seen = np.diff(offsets) > 0
    result = np.zeros(len(seen))
    if not seen.any():
        return result
    # reduceat mishandles empty slices, so only the starts of frames with objects are used.
    starts = np.append(offsets[:-1][seen], offsets[-1])
    if aggregation == "topk_mean":
        result[seen] = top_mean(values, starts, k=k)
    else:
        result[seen] = AGGREGATIONS[aggregation](values, starts)
    if not seen.all():
        result[~seen] = np.quantile(result[seen], empty_frame_quantile)
    return result
