"""Confidence intervals of a gain by the paired bootstrap over frames.

Each resample contains the same frames for both models, so the difficulty of frames cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from trainer.scores import Evaluation, Scores


def resampled_gains(
    champion: Evaluation,
    challenger: Evaluation,
    *,
    metric: str,
    resamples: int,
    rng: np.random.Generator,
    groups: Mapping[str, str],
) -> NDArray[np.float64]:
    """Return the gain on each resample of frames (groups resampled as a whole), (resamples,)."""
    names = [groups.get(f.file_name, f.file_name) for f in challenger.frames]
    _, unit = np.unique(names, return_inverse=True)
    units = int(unit.max()) + 1
    gains = np.empty(resamples)
    for n in range(resamples):
        counts = rng.multinomial(units, np.full(units, 1 / units))[unit]
        before = metric_of(champion.scores(counts), metric)
        after = metric_of(challenger.scores(counts), metric)
        # A resample without objects has no metric.
        gains[n] = 0.0 if before is None or after is None else after - before
    return gains


def interval(gains: NDArray[np.float64], confidence: float, *, units: int) -> tuple[float, float]:
    """Return the lower and upper bound, each exceeded with probability 1 - confidence.

    The expanded percentile interval of Hesterberg, "What Teachers Should Know About the
    Bootstrap" (The American Statistician, 2015): plain percentiles are too narrow for few units.
    """
    if units < 2:
        return -math.inf, math.inf
    z, dof = NormalDist().inv_cdf(confidence), units - 1
    # Student's t by Cornish-Fisher (Abramowitz and Stegun 26.7.5).
    t = z + (z**3 + z) / (4 * dof) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * dof**2)
    tail = NormalDist().cdf(-math.sqrt(units / dof) * t)
    # Weibull's positions, k / (n + 1): numpy's are too narrow, 5.6 % for 5 % at 150 resamples.
    low, high = np.quantile(gains, [tail, 1 - tail], method="weibull")
    return float(low), float(high)


def units_of(evaluation: Evaluation, groups: Mapping[str, str]) -> int:
    """Return the number of independent units of the frames; a group counts once."""
    return len({groups.get(f.file_name, f.file_name) for f in evaluation.frames})


def metric_of(scores: Scores, metric: str) -> float | None:
    """Return "ap" or "ap50" of the scores, or None if there is no object."""
    return scores.ap if metric == "ap" else scores.ap50
