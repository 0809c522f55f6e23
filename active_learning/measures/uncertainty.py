"""Uncertainty of a candidate object: higher is more informative.

A softmax head is one distribution over C classes, whose remainder to 1 is the background. A sigmoid
head is C binary distributions. The formulas are in each docstring, with p the row of probabilities,
p1 >= p2 its two highest values.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, Objects

Measure = Callable[[Objects], FloatArray]

_BLOCK_ENTRIES = 1 << 21


def least_confidence(objects: Objects) -> FloatArray:
    """Return (M,). Softmax: 1 - p1, background included. Sigmoid: the largest 1 - |2p - 1|."""

    def rows(p: FloatArray) -> FloatArray:
        if objects.head == "softmax":
            return np.asarray(1 - np.maximum(p.max(axis=1, initial=0), _background(p)))
        return np.asarray((1 - np.abs(2 * p - 1)).max(axis=1, initial=0))

    return _by_block(objects, rows)


def margin(objects: Objects) -> FloatArray:
    """Return (M,). Softmax: 1 - (p1 - p2). Sigmoid: 1 - |p1 - max(p2, 1 - p1)|.

    For a softmax head the background is one of the classes. The best class of a sigmoid head
    competes with the next class and with "no object"; with one class the formula is 1 - |2p - 1|.
    """

    def rows(p: FloatArray) -> FloatArray:
        if objects.head == "softmax":
            both = np.partition(np.column_stack([p, _background(p)]), -2, axis=1)
            return np.asarray(1 - (both[:, -1] - both[:, -2]))
        both = np.partition(np.column_stack([np.zeros(len(p)), p]), -2, axis=1)
        return np.asarray(1 - np.abs(both[:, -1] - np.maximum(both[:, -2], 1 - both[:, -1])))

    return _by_block(objects, rows)


def entropy(objects: Objects) -> FloatArray:
    """Return (M,) in nats. Softmax: sum of -p ln p. Sigmoid: sum of -p ln p - (1-p) ln (1-p).

    For a softmax head the background is one of the classes.
    """

    def rows(p: FloatArray) -> FloatArray:
        if objects.head == "softmax":
            return np.asarray(_plogp(p).sum(axis=1) + _plogp(_background(p)))
        return np.asarray((_plogp(p) + _plogp(1 - p)).sum(axis=1))

    return _by_block(objects, rows)


def disagreement(objects: Objects) -> FloatArray:
    """Return (M,) the disagreement of passes or models, see measures/disagreement."""
    if objects.disagreement is None:
        raise InvalidPoolError(
            "objects.disagreement is missing: this measure reads how much two passes or models "
            "differ; predict the pool with flips, or choose another measure"
        )
    return np.asarray(objects.disagreement, float)


def likely_miss(objects: Objects) -> FloatArray:
    """Return (M,) p1 where it is below 0.5, else 0: summed, the objects expected but not shown.

    An object below that confidence is not pre-annotated, so a person has to find it.
    """
    winner = winning_score(objects)
    return np.where(winner < 0.5, winner, 0.0)


def certainty(objects: Objects) -> FloatArray:
    """Return (M,) p1: summed over a frame, the expected number of objects."""
    return winning_score(objects)


def winning_score(objects: Objects) -> FloatArray:
    """Return (M,) the highest class probability of each object."""
    return np.asarray(objects.probabilities.max(axis=1, initial=0), float)


def map_entropy(probabilities: FloatArray, *, share: float = 1.0) -> float:
    """Return the mean entropy in nats of a semantic mask's (C, H, W) softmax, for Pool.scores.

    share: only this share of the pixels, the most uncertain ones, is averaged, so that a large
    certain background does not hide a small uncertain region. Raises InvalidPoolError.
    """
    if probabilities.ndim != 3 or not probabilities.size:
        raise InvalidPoolError(f"a mask's map must be (C, H, W), found {probabilities.shape}")
    if not 0 < share <= 1:
        raise InvalidPoolError(f"share must lie in 0..1 above 0, found {share}")
    if not np.isfinite(probabilities).all():
        raise InvalidPoolError("the mask's map contains a value that is not finite")
    pixels = np.sort(_plogp(probabilities).sum(axis=0), axis=None)[::-1]
    return float(pixels[: max(1, round(share * pixels.size))].mean())


def classification(probabilities: FloatArray, *, head: str = "softmax") -> Objects:
    """Convert (N, C) class probabilities of whole frames to one object per frame."""
    return Objects(
        offsets=np.arange(len(probabilities) + 1), probabilities=probabilities, head=head
    )


MEASURES: dict[str, Measure] = {
    "least_confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
    "disagreement": disagreement,
    "likely_miss": likely_miss,
    "certainty": certainty,
}


def _by_block(objects: Objects, rows: Callable[[FloatArray], FloatArray]) -> FloatArray:
    count, classes = objects.probabilities.shape
    values = np.empty(count)
    step = max(1, _BLOCK_ENTRIES // max(1, classes))
    for start in range(0, count, step):
        part = np.asarray(objects.probabilities[start : start + step], float)
        values[start : start + step] = rows(np.clip(part, 0, 1))
    return values


def _background(p: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(0, 1 - p.sum(axis=1)))


def _plogp(p: FloatArray) -> FloatArray:
    safe = np.where(p > 0, p, 1)
    values: FloatArray = -p * np.log(safe)
    return values
