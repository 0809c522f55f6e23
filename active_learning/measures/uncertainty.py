"""How informative one candidate object is: higher is more informative.

A softmax head answers one question with C answers; what its row lacks of 1 is the background. A
sigmoid head answers C questions with yes or no. The formulas stand in each docstring, with p the
row of probabilities, p1 >= p2 its two highest values.
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

    The background is one of the answers of a softmax head. The winner of a sigmoid head has two
    rivals, the next class and "no object at all"; with one class the formula is 1 - |2p - 1|.
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

    The background is one of the answers of a softmax head.
    """

    def rows(p: FloatArray) -> FloatArray:
        if objects.head == "softmax":
            return np.asarray(_plogp(p).sum(axis=1) + _plogp(_background(p)))
        return np.asarray((_plogp(p) + _plogp(1 - p)).sum(axis=1))

    return _by_block(objects, rows)


def disagreement(objects: Objects) -> FloatArray:
    """Return (M,) what passes or models disagreed by, see measures/disagreement."""
    if objects.disagreement is None:
        raise InvalidPoolError(
            "objects.disagreement is missing: this measure reads how much two passes or models "
            "differ; predict the pool with flips, or choose another measure"
        )
    return np.asarray(objects.disagreement, float)


def likely_miss(objects: Objects) -> FloatArray:
    """Return (M,) p1 where it is below 0.5, else 0: summed, the objects expected but not shown.

    An object that the model half sees is not pre-annotated, so a person has to find it.
    """
    winner = winning_score(objects)
    return np.where(winner < 0.5, winner, 0.0)


def certainty(objects: Objects) -> FloatArray:
    """Return (M,) p1: summed over a frame, the number of objects that the model expects there."""
    return winning_score(objects)


def winning_score(objects: Objects) -> FloatArray:
    """Return (M,) the highest class probability of each object."""
    return np.asarray(objects.probabilities.max(axis=1, initial=0), float)


def map_entropy(probabilities: FloatArray, *, share: float = 1.0) -> float:
    """Return the mean entropy in nats of a semantic mask's (C, H, W) softmax, for Pool.scores.

    share: only this share of the pixels, the most uncertain ones, is averaged, so that a small
    doubtful region does not drown in a sure background. Raises InvalidPoolError.
    """
    if probabilities.ndim != 3 or not probabilities.size:
        raise InvalidPoolError(f"a mask's map must be (C, H, W), found {probabilities.shape}")
    if not 0 < share <= 1:
        raise InvalidPoolError(f"share must lie in 0..1 above 0, found {share}")
    if not np.isfinite(probabilities).all():
        raise InvalidPoolError("the mask's map holds a value that is not finite")
    pixels = np.sort(_plogp(probabilities).sum(axis=0), axis=None)[::-1]
    return float(pixels[: max(1, round(share * pixels.size))].mean())


def classification(probabilities: FloatArray, *, head: str = "softmax") -> Objects:
    """See (N, C) class probabilities of whole frames as one object a frame."""
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
