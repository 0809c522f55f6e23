"""Seconds with pre-annotation against without, from jobs that chance divided, with intervals. Pure.

The seconds of an object are a ratio of sums over jobs. Its logarithm is compared between the two
arms with the jackknife's variance of each (Efron and Stein, "The jackknife estimate of variance",
1981) and Student's t at Welch's degrees of freedom (Welch, "The generalization of Student's
problem when several different population variances are involved", 1947), since the control arm
has few jobs and times are skewed. The bench `savings_error` holds the coverage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LEAST_JOBS = 4  # of each arm: with fewer an interval says nothing
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval of 95 %; low and high are None where it was not measured."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Rate:
    """Seconds for each unit. jobs: on which it rests. units: objects or frames in them."""

    seconds: Estimate
    jobs: int
    units: int
    total: float


@dataclass(frozen=True)
class Compared:
    """Seconds of an object or frame with pre-annotation, without, and the share that is saved."""

    with_it: Rate
    without: Rate
    saved: Estimate

    @property
    def saved_seconds(self) -> Estimate:
        """Seconds saved so far: what the jobs would have taken without, less what they took.

        Negative where pre-annotation costs more than it gives.
        """

        def seconds(share: float | None) -> float | None:
            return None if share is None else self.with_it.total * share / (1 - share)

        return Estimate(
            seconds(self.saved.value) or 0.0, seconds(self.saved.low), seconds(self.saved.high)
        )


def compare(
    with_it: Sequence[tuple[float, int]], without: Sequence[tuple[float, int]]
) -> Compared | None:
    """Compare the two arms. Each job: its seconds, and its objects (or frames).

    None where an arm has fewer than LEAST_JOBS jobs with seconds and objects.
    """
    first, second = _ratio(with_it), _ratio(without)
    if first is None or second is None:
        return None
    from scipy.stats import t

    variance = first.variance + second.variance
    if variance > 0:
        degrees = variance**2 / (
            first.variance**2 / (first.jobs - 1) + second.variance**2 / (second.jobs - 1)
        )
        reach = float(t.ppf((1 + CONFIDENCE) / 2, degrees)) * variance**0.5
    else:
        reach = 0.0
    gain = first.log - second.log
    saved = Estimate(*(float(1 - np.exp(gain + shift)) for shift in (0.0, reach, -reach)))
    return Compared(first.rate(), second.rate(), saved)


@dataclass(frozen=True)
class _Ratio:
    log: float
    variance: float
    jobs: int
    units: int
    total: float

    def rate(self) -> Rate:
        from scipy.stats import t

        reach = float(t.ppf((1 + CONFIDENCE) / 2, self.jobs - 1)) * self.variance**0.5
        seconds = Estimate(*(float(np.exp(self.log + shift)) for shift in (0.0, -reach, reach)))
        return Rate(seconds, self.jobs, self.units, self.total)


def _ratio(jobs: Sequence[tuple[float, int]]) -> _Ratio | None:
    rows = np.array([(s, n) for s, n in jobs if s > 0 and n > 0], float).reshape(-1, 2)
    if len(rows) < LEAST_JOBS:
        return None
    seconds, units = rows.T
    left_out = np.log((seconds.sum() - seconds) / (units.sum() - units))
    variance = (len(rows) - 1) / len(rows) * float(((left_out - left_out.mean()) ** 2).sum())
    log = float(np.log(seconds.sum() / units.sum()))
    return _Ratio(log, variance, len(rows), int(units.sum()), float(seconds.sum()))
