"""Ranks the list by what reviews said so far. Pure.

A logistic regression on the kind, the class, the place on the list and the score, with a normal
prior on its weights (its maximum a posteriori by Newton's method; MacKay, "The evidence framework
applied to classification networks", 1992). The prior alone keeps the order of the list, so a few
verdicts move it a little and many move it much.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.mistakes.ranking import Suspect

_SLOPE = 0.5  # of the logarithm of the rank, before any verdict
_SPREAD = 1.0  # standard deviation of the weights of kind, class and score
_STEPS = 25

Floats = NDArray[np.float64]


def ranked(
    suspects: Sequence[Suspect], reviewed: Sequence[tuple[Suspect, bool]]
) -> tuple[tuple[Suspect, ...], tuple[float, ...]]:
    """Return the suspects, likeliest mistakes first, and the chance of each of being one.

    suspects: in the order of the list. reviewed: earlier suspects, and whether each was a mistake.
    Without any verdict the order is the list's and no chance is given.
    """
    if not reviewed or not suspects:
        return tuple(suspects), ()
    chance = chances(suspects, reviewed)
    order = np.argsort(-chance, kind="stable")
    return tuple(suspects[i] for i in order), tuple(float(chance[i]) for i in order)


def chances(suspects: Sequence[Suspect], reviewed: Sequence[tuple[Suspect, bool]]) -> Floats:
    """Return the chance of each suspect of being a mistake, (N,)."""
    known = [one for one, _ in reviewed]
    right = np.array([verdict for _, verdict in reviewed], float)
    places = {id(one): place for place, one in enumerate(suspects)}
    # What was reviewed came from the top of some list: its own scores place it among the others.
    rows = _features([*suspects, *known], places)
    mean = np.zeros(rows.shape[1])
    mean[0], mean[1] = _logit(np.clip(right.mean(), 0.05, 0.95)), _SLOPE
    precision = np.full(rows.shape[1], 1 / _SPREAD**2)
    precision[0], precision[1] = 0.25, 4.0
    weights = _fitted(rows[len(suspects) :], right, mean, precision)
    return np.asarray(1 / (1 + np.exp(-rows[: len(suspects)] @ weights)), np.float64)


def _fitted(rows: Floats, right: Floats, mean: Floats, precision: Floats) -> Floats:
    weights = mean.copy()
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (right - chance) - precision * (weights - mean)
        bend = (rows * (chance * (1 - chance))[:, None]).T @ rows + np.diag(precision)
        step = np.linalg.solve(bend, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(weights, np.float64)


def _features(suspects: Sequence[Suspect], places: dict[int, int]) -> Floats:
    """Return rows of: 1, place on the list, then kind, class, score and size, standardised."""
    kinds = sorted({one.kind for one in suspects})
    labels = sorted({one.label for one in suspects})
    size = np.array(
        [max(x2 - x1, 1) * max(y2 - y1, 1) for x1, y1, x2, y2 in (s.box for s in suspects)]
    )
    score = np.array([one.score for one in suspects])
    within = np.zeros(len(suspects))
    for kind in kinds:  # each kind has a scale of its own
        own = np.array([one.kind == kind for one in suspects])
        within[own] = _standard(score[own])
    order = _places(suspects, places, within)
    columns = [np.ones(len(suspects)), _standard(-np.log1p(order))]
    columns += [np.array([one.kind == kind for one in suspects], float) for kind in kinds]
    columns += [np.array([one.label == label for one in suspects], float) for label in labels]
    columns += [-within * (np.array([one.kind == kind for one in suspects])) for kind in kinds]
    columns.append(_standard(np.log(size)))
    return np.stack(columns, axis=1)


def _places(suspects: Sequence[Suspect], places: dict[int, int], within: Floats) -> Floats:
    """Return each its place on the list; one that is on it no more that of the nearest score."""
    found = np.array([places.get(id(one), -1) for one in suspects], float)
    on = found >= 0
    for row in map(int, np.flatnonzero(~on)):
        same = on & np.array([one.kind == suspects[row].kind for one in suspects])
        pick = same if same.any() else on
        nearest = np.flatnonzero(pick)[np.argmin(np.abs(within[pick] - within[row]))]
        found[row] = found[nearest]
    return found


def _standard(values: Floats) -> Floats:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / spread if spread > 0 else values * 0.0, np.float64)


def _logit(value: float) -> float:
    return float(np.log(value / (1 - value)))
