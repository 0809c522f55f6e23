"""Predict the gain of the next labels from the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from active_learning.errors import InvalidPoolError

_EXPONENTS = np.linspace(0.1, 2.0, 39)
_LEAST_ROUNDS = 3


@dataclass(frozen=True)
class LearningCurve:
    """AP(n) = ceiling - loss * n ** -exponent, fitted to past rounds.

    error: root of the mean squared residual, in AP.
    """

    ceiling: float
    loss: float
    exponent: float
    error: float

    def at(self, labelled: float) -> float:
        """Return the expected AP with this many labelled frames."""
        return float(self.ceiling - self.loss * labelled**-self.exponent)


def fit_curve(curve: Sequence[tuple[int, float]]) -> LearningCurve | None:
    """Fit the inverse power law to (labelled frames, AP) of past rounds; None below three rounds.

    The law is that of Viering and Loog, "The shape of learning curves", 2022 (arXiv 2103.10948),
    where it fits best overall. The exponent is searched on a grid, the other two by least squares
    with loss >= 0 and ceiling within 0..1. Raises InvalidPoolError on values that are not finite,
    AP outside 0..1 or fewer than one labelled frame.
    """
    points = np.asarray(curve, float).reshape(-1, 2)
    if not np.isfinite(points).all() or (points[:, 0] < 1).any():
        raise InvalidPoolError("curve must contain finite (labelled frames >= 1, AP) pairs")
    if (points[:, 1] < 0).any() or (points[:, 1] > 1).any():
        raise InvalidPoolError("curve's AP must lie in 0..1; divide percentages by 100")
    if len(np.unique(points[:, 0])) < _LEAST_ROUNDS:
        return None
    fits = [_fit(points, exponent) for exponent in _EXPONENTS]
    return min(fits, key=lambda fit: fit.error)


def advice(curve: Sequence[tuple[int, float]], *, batch: int, stop_gain: float) -> str:
    """Return the expected AP gain of the next batch as text, "" if the curve is too short.

    stop_gain: expected AP gain below which the advice is to stop.
    """
    fitted = fit_curve(curve)
    if fitted is None:
        return ""
    labelled = max(count for count, _ in curve)
    gain = fitted.at(labelled + batch) - fitted.at(labelled)
    text = (
        f"the next {batch} labels: about {100 * gain:+.1f} AP "
        f"(the curve levels off near {100 * fitted.ceiling:.1f}, fit within "
        f"{100 * fitted.error:.1f})"
    )
    if gain < stop_gain:
        return f"{text}; consider stopping, or labelling what the model gets wrong"
    return text


def _fit(
    points: np.ndarray[tuple[int, ...], np.dtype[np.float64]], exponent: float
) -> LearningCurve:
    counts, precision = points[:, 0], points[:, 1]
    fall = counts**-exponent
    solution, _ = nnls(np.column_stack([np.ones_like(fall), -fall]), precision)
    ceiling, loss = float(solution[0]), float(solution[1])
    if ceiling > 1:
        ceiling = 1.0
        loss = max(0.0, float(fall @ (1 - precision) / (fall @ fall)))
    residual = ceiling - loss * fall - precision
    return LearningCurve(ceiling, loss, float(exponent), float(np.sqrt(np.mean(residual**2))))
