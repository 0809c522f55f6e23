"""Object-level queries: which objects to review, and which are certain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from active_learning.errors import InvalidPoolError
from active_learning.measures.class_need import object_weights
from active_learning.measures.uncertainty import MEASURES, winning_score
from active_learning.pool import FloatArray, IntArray, Objects


@dataclass(frozen=True, eq=False)
class ObjectQueries:
    """The objects that a person is asked to review.

    ask: (Q,) object rows, the most informative first. sure: (M,) bool, objects that need no review.
    sure_from: the probability from which objects are certain, or None if none is. expected_errors:
    expected number of wrong objects among the certain ones.
    """

    ask: IntArray
    sure: NDArray[np.bool_]
    sure_from: float | None
    expected_errors: float


def object_queries(
    objects: Objects,
    *,
    budget: int | None = None,
    measure: str = "margin",
    error_rate: float = 0.02,
    class_need: FloatArray | None = None,
) -> ObjectQueries:
    """Split objects into those to review and those that are certain, and rank the former.

    Certain are the most probable objects, as many as keep the mean of 1 - p within error_rate; this
    assumes calibrated probabilities: check it on the control arm. The others are ranked by measure
    * class need, ties by probability. budget: maximum number of objects to review, or None for all.
    After box-level labelling: Lyu et al., "Box-level active detection", CVPR 2023 (arXiv
    2303.13089), which asks about boxes instead of frames. Raises InvalidPoolError on an unknown
    measure or a setting out of range.
    """
    if measure not in MEASURES:
        raise InvalidPoolError(f"no measure {measure!r}; known are {', '.join(sorted(MEASURES))}")
    if not 0 <= error_rate <= 1:
        raise InvalidPoolError(f"error_rate must lie in 0..1, found {error_rate}")
    if budget is not None and budget < 0:
        raise InvalidPoolError(f"budget must be 0 or more, found {budget}")
    p = winning_score(objects)
    sure_from, expected = _sure_from(p, error_rate)
    sure = np.zeros(len(p), bool) if sure_from is None else p >= sure_from
    values = MEASURES[measure](objects)
    if class_need is not None:
        values = values * object_weights(objects, class_need)
    doubtful = np.flatnonzero(~sure)
    ranked = doubtful[np.lexsort((-p[doubtful], -values[doubtful]))]
    return ObjectQueries(ranked[:budget], sure, sure_from, expected)


def _sure_from(p: FloatArray, error_rate: float) -> tuple[float | None, float]:
    """Return the lowest threshold at which the objects above it keep the error rate."""
    if not len(p):
        return None, 0.0
    levels, counts = np.unique(p, return_counts=True)
    levels, counts = levels[::-1], counts[::-1]
    errors = np.cumsum((1 - levels) * counts)
    kept = np.flatnonzero(errors <= error_rate * np.cumsum(counts) + 1e-12)
    if not len(kept):
        return None, 0.0
    return float(levels[kept[-1]]), float(errors[kept[-1]])
