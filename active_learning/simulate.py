"""Replay rounds on labelled data, to measure what a strategy would have saved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import Pool, ProjectState, StrArray

Model = TypeVar("Model")
Learn = Callable[[tuple[str, ...]], tuple[Model, ProjectState, Mapping[str, float]]]
Observe = Callable[[Model, tuple[str, ...]], Pool]
Select = Callable[[Pool, ProjectState, int, int], StrArray]


@dataclass(frozen=True)
class ReplayedRound:
    """One round: the labelled frames that the model was trained on, and its metrics."""

    number: int
    labelled: tuple[str, ...]
    figures: Mapping[str, float]


def replay(
    ids: Sequence[str],
    *,
    first: Sequence[str],
    budgets: Sequence[int],
    learn: Learn[Model],
    observe: Observe[Model],
    select: Select,
) -> Iterator[ReplayedRound]:
    """Replay len(budgets) + 1 rounds, yielding each as it ends.

    ids: all frames with known labels that may be selected. first: those labelled at the start.
    learn(labelled) trains on the labels of these frames and returns the model, the project state,
    and metrics on frames outside `ids`. observe(model, remaining) returns the pool with the model's
    predictions. select(pool, state, budget, round) returns the ids to label. The harness uses no
    clock, file or randomness, so a replay is as reproducible as its callables. Raises
    InvalidPoolError when `first` or a selection contains a frame that may not be selected.
    """
    known = set(ids)
    labelled = tuple(first)
    if len(known) != len(ids) or len(set(labelled)) != len(labelled) or not known >= set(labelled):
        raise InvalidPoolError("ids and first must be unique, and first must be part of ids")
    for number, budget in enumerate((*budgets, 0)):
        model, state, figures = learn(labelled)
        yield ReplayedRound(number, labelled, figures)
        owned = set(labelled)
        remaining = tuple(one for one in ids if one not in owned)
        if not budget or not remaining:
            return
        chosen = [str(one) for one in select(observe(model, remaining), state, budget, number)]
        if len(set(chosen)) != len(chosen) or not set(remaining) >= set(chosen):
            raise InvalidPoolError(f"round {number} chose a frame twice, or one not in the pool")
        labelled += tuple(chosen)


def labels_to_reach(curve: Sequence[tuple[float, float]], target: float) -> float | None:
    """Return how many labels a learning curve needs to reach the target, or None if it never does.

    curve: (labels, figure) of each round. Linear interpolation between rounds; the first crossing
    counts.
    """
    points = sorted(curve)
    if not points:
        return None
    if points[0][1] >= target:
        return float(points[0][0])
    for (low, before), (high, after) in itertools.pairwise(points):
        if after >= target:
            return float(low + (high - low) * (target - before) / (after - before))
    return None


def band(
    curves: Sequence[Sequence[float]], *, draws: int = 2000, seed: int = 0
) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return mean, lower and upper bound, round by round, of curves from several seeds.

    The bounds are the 95 % percentile bootstrap of the mean over seeds.
    """
    values = np.asarray(curves, float)
    if values.ndim != 2 or not values.size or not np.isfinite(values).all():
        raise InvalidPoolError("curves must be one finite row of equal length for each seed")
    picks = np.random.default_rng(seed).integers(0, len(values), (draws, len(values)))
    means = values[picks].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return tuple(values.mean(axis=0)), tuple(low), tuple(high)
