"""The control arm: frames drawn at random before the strategy selects, for unbiased estimates."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray, Selection

_LEAST_BUDGET = 5


def control_size(budget: int, share: float) -> int:
    """Return the number of random frames of a batch: the share, at least one from a budget of 5."""
    if not 0 <= share <= 1:
        raise InvalidPoolError(f"control_share must lie in 0..1, found {share}")
    if share == 0:
        return 0
    return min(budget, max(int(budget >= _LEAST_BUDGET), round(share * budget)))


def early_share(share: float, *, labelled: int, warmup: int) -> float:
    """Return the control share of a project with few labels: from 1/2 at none down to `share`.

    The uncertainty of the first models is unreliable, and selection by it alone started worse than
    random in replays; a random part bounds the loss. Control frames keep equal probabilities, so
    more of them only make the estimates more precise. A share of 0 means no control arm at any
    time. warmup: labelled frames from which `share` applies.
    """
    if share == 0 or labelled >= warmup:
        return share
    return max(share, 0.5 * (1 - labelled / warmup))


def control_rows(rank: IntArray, size: int, rng: np.random.Generator) -> IntArray:
    """Draw rows without replacement, each frame of the pool with equal probability.

    No cap or exclusion applies, and the draw precedes the strategy's: so every frame has the
    inclusion probability size / N, whose inverse is the weight of a control frame.
    """
    order = np.argsort(rank)
    return order[rng.choice(len(rank), size=size, replace=False)]


def interleave(strategy: IntArray, control: IntArray) -> tuple[IntArray, IntArray]:
    """Spread the control frames evenly over the ranking; return rows and the indices of control.

    A team that stops in the middle of a batch still has about the same share of control frames, in
    random order, hence a random sample of the pool.
    """
    count = len(strategy) + len(control)
    places = ((np.arange(len(control)) + 0.5) * count / max(1, len(control))).astype(np.int64)
    rows = np.empty(count, np.int64)
    is_control = np.zeros(count, bool)
    is_control[places] = True
    rows[is_control], rows[~is_control] = control, strategy
    return rows, places


def estimate(selection: Selection, values: FloatArray) -> tuple[float, float]:
    """Estimate the pool's mean of a quantity and its standard error, from the control arm only.

    values: (K,) the quantity of each selected frame (accepted shapes, seconds, errors, …); those of
    the strategy arm are ignored, and NaN marks control frames that are not annotated yet. See
    mean_of_pool. Raises InvalidPoolError when no control frame has a value.
    """
    return mean_of_pool(np.asarray(selection.weights, float), values)


def mean_of_pool(weights: FloatArray, values: FloatArray) -> tuple[float, float]:
    """Estimate a pool's mean and its standard error from frames with known inclusion probability.

    weights: (K,) inverse inclusion probabilities, NaN outside the control arm. values: (K,), NaN
    where nothing is known. Hájek's ratio estimator, unbiased up to order 1/n. The error is NaN
    with fewer than two frames. Raises InvalidPoolError when no frame has both.
    """
    used = np.isfinite(weights) & np.isfinite(values)
    if not used.any():
        raise InvalidPoolError("no control frame has a value: there is nothing to estimate from")
    seen, weight = np.asarray(values, float)[used], weights[used]
    mean = float((weight * seen).sum() / weight.sum())
    count = len(seen)
    if count < 2:
        return mean, float("nan")
    size = float(weights[np.isfinite(weights)].mean() * np.isfinite(weights).sum())
    left = max(0.0, 1 - count / size)  # finite population correction
    return mean, float(np.sqrt(left * seen.var(ddof=1) / count))
