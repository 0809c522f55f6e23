"""Which classes the project still needs, and which frames show them."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, Objects, ProjectState

_MOST = 10.0


def class_need(state: ProjectState, *, strength: float = 1.0) -> FloatArray | None:
    """Return (C,) factor of each class, mean 1, higher for rare classes and low AP.

    rarity = (mean count + 1) / (count + 1), difficulty = (1 - AP) / mean (1 - AP), an unknown AP
    counts as the mean; need = (rarity * difficulty) ** strength, normalised to mean 1 and clipped
    to 1/10..10. None when the project has neither counts nor AP, or strength is 0.

    Strength 1 is the value of one more label of a class whose error 1 - AP falls as a power of its
    labels n, as learning curves do (Viering and Loog, 2022): the slope of loss * n ** -a is a * (1
    - AP) / n. So the sum of needs over a frame's objects is proportional to what it adds to the
    mean AP over classes. Raises InvalidPoolError when the lengths differ or a value is out of
    range.
    """
    counts, precision = state.class_counts, state.class_ap
    if strength < 0 or not np.isfinite(strength):
        raise InvalidPoolError(f"class_need must be 0 or more, found {strength}")
    if strength == 0 or (counts is None and precision is None):
        return None
    if counts is not None and precision is not None and len(counts) != len(precision):
        raise InvalidPoolError(
            f"state.class_counts has {len(counts)} classes and state.class_ap {len(precision)}"
        )
    need = np.ones(len(counts) if counts is not None else len(precision))  # type: ignore[arg-type]
    if not len(need):
        return None
    if counts is not None:
        counts = np.asarray(counts, float)
        if not np.isfinite(counts).all() or (counts < 0).any():
            raise InvalidPoolError("state.class_counts must be finite and not negative")
        need *= (counts.mean() + 1) / (counts + 1)
    if precision is not None:
        lack = 1 - np.asarray(precision, float)
        if np.isinf(lack).any() or (lack < 0).any() or (lack > 1).any():
            raise InvalidPoolError("state.class_ap must lie in 0..1, or be NaN where unknown")
        known = lack[np.isfinite(lack)]
        if len(known) and known.mean() > 0:
            need *= np.where(np.isfinite(lack), lack, known.mean()) / known.mean()
    need = np.maximum(need, 1e-9) ** strength
    need = np.clip(need / need.mean(), 1 / _MOST, _MOST)
    result: FloatArray = need / need.mean()
    return result


def object_weights(objects: Objects, need: FloatArray) -> FloatArray:
    """Return (M,) factor of each object: the need of its classes, by their squared probability.

    Squared, so that a real uncertainty between two classes counts both, but the low second
    probability that a sigmoid head always has does not raise objects of a common class to the need
    of a rare one. Raises InvalidPoolError when need is not (C,).
    """
    if need.shape != (objects.probabilities.shape[1],):
        raise InvalidPoolError(
            f"class need must be ({objects.probabilities.shape[1]},) like the columns of the "
            f"probabilities, found {need.shape}"
        )
    squares = np.square(objects.probabilities)
    sums = squares.sum(axis=1)
    weighted = squares @ need
    # An object with zero probabilities has no class information.
    weights: FloatArray = np.where(sums > 0, weighted / np.where(sums > 0, sums, 1), need.mean())
    return weights


def presence(objects: Objects, column: int) -> FloatArray:
    """Return (N,) the confidence that a frame shows the class: its best object's, else 0."""
    offsets = np.asarray(objects.offsets)
    seen = np.diff(offsets) > 0
    found = np.zeros(len(seen))
    if seen.any():
        scores = np.asarray(objects.probabilities[:, column], float)
        found[seen] = np.maximum.reduceat(scores, offsets[:-1][seen])
    return found
