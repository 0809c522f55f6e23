"""Object-level queries: which objects deserve a look, and which are sure."""

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
    """What a person is asked about, object by object.

    ask: (Q,) object rows, the most informative first. sure: (M,) bool, objects that may pass
    without a look. sure_from: the probability from which objects are sure, or None when none is.
    expected_errors: how many of the sure objects are expected to be wrong.
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
    """Split objects into those to ask about and those that are sure, and rank the first.

    Sure are as many of the most probable objects as keep their mean of 1 - p within error_rate,
    which holds as far as the probabilities are calibrated: check it on the control arm. The
    others are ranked by measure * class need, equals by their probability. budget: most objects
    asked about, or None for all. After box-level labelling: Lyu et al., "Box-level active
    detection", CVPR 2023 (arXiv 2303.13089), which asks about boxes instead of frames.
    Raises InvalidPoolError on an unknown measure or a setting out of range.
    """
    if measure not in MEASURES:
        raise InvalidPoolError(f"no measure {measure!r}; there are {', '.join(sorted(MEASURES))}")
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
    """Return the lowest probability whose objects, with all above, keep the error rate."""
    if not len(p):
        return None, 0.0
    levels, counts = np.unique(p, return_counts=True)
    levels, counts = levels[::-1], counts[::-1]
    errors = np.cumsum((1 - levels) * counts)
    kept = np.flatnonzero(errors <= error_rate * np.cumsum(counts) + 1e-12)
    if not len(kept):
        return None, 0.0
    return float(levels[kept[-1]]), float(errors[kept[-1]])
