"""Calibration curves from a network's score to precision, fitted to few detections.

The beta curve is Kull, Silva Filho and Flach, "Beta calibration" (2017): with score s, the log odds
of being right are c + a·ln(s) - b·ln(1 - s), which is Platt scaling when a = b; different a and b
calibrate high and low scores differently. A prior keeps it near a known curve. The isotonic curve
(Zadrozny and Elkan, 2002) is non-parametric and needs many detections. Küppers et al.,
"Multivariate Confidence Calibration for Object Detection" (2020), apply such curves to detectors,
with precision at an IoU in place of accuracy.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.calibration.score_map import EDGE, expit, logit

_Float = NDArray[np.float64]
# Knots at which a smooth curve is stored: dense near even odds, sparse far from them.
KNOTS = np.concatenate([[-EDGE, -10, -8, -6], np.arange(-5, 5.1, 0.5), [6, 8, 10, EDGE]])
_BLOCK = 30  # minimum detections per step of the isotonic curve
_TILT = 0.05  # slope of a step in log odds, so that 32-bit scores keep their order
_PRIOR_ANSWERS = 5.0  # weight of the beta curve in each step


@dataclass(frozen=True)
class BetaCurve:
    """The logarithms of the two slopes, and the offset. The identity is (0, 0, 0)."""

    log_a: float = 0.0
    log_b: float = 0.0
    c: float = 0.0

    def __call__(self, u: _Float) -> _Float:
        """Return the log odds of being right for the log odds of the score."""
        low, high = np.logaddexp(0, -u), np.logaddexp(0, u)  # -ln(s) and -ln(1 - s)
        return np.asarray(self.c - np.exp(self.log_a) * low + np.exp(self.log_b) * high)


IDENTITY = BetaCurve()
WIDE = (1.0, 1.0, 3.0)  # prior spread of the pooled curve around the identity
NARROW = (0.5, 0.5, 1.0)  # prior spread of a class's curve around the pooled one


def beta_curve(
    scores: _Float,
    right: NDArray[np.bool_],
    *,
    prior: BetaCurve = IDENTITY,
    spread: tuple[float, float, float] = WIDE,
) -> BetaCurve:
    """Return the maximum a posteriori beta curve, with another curve as prior.

    scores: (N,) of the network, right: (N,). spread: standard deviations of the three parameters
    around those of prior. Without detections the result is the prior.
    """
    from scipy.optimize import minimize

    u, y = logit(scores), np.asarray(right, np.float64)
    low, high = np.logaddexp(0, -u), np.logaddexp(0, u)
    centre = np.array([prior.log_a, prior.log_b, prior.c])
    weight = 1 / np.square(np.array(spread))

    def loss(at: _Float) -> tuple[float, _Float]:
        a, b = np.exp(at[0]), np.exp(at[1])
        v = at[2] - a * low + b * high
        off, residual = at - centre, expit(v) - y
        value = np.logaddexp(0, v).sum() - (y * v).sum() + 0.5 * (weight * off * off).sum()
        slope = np.array([-a * (residual * low).sum(), b * (residual * high).sum(), residual.sum()])
        return float(value), slope + weight * off

    bounds = [(value - 3, value + 3) for value in centre[:2]] + [(None, None)]
    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=bounds).x
    return BetaCurve(*(float(value) for value in found))


def isotonic_knots(
    scores: _Float, right: NDArray[np.bool_], near: BetaCurve
) -> tuple[_Float, _Float]:
    """Return the knots of an isotonic curve, as log odds of the score and of being right.

    Steps with few detections are merged, and each is shrunk slightly towards the beta curve `near`,
    which also extrapolates beyond the first and last step.
    """
    from scipy.optimize import isotonic_regression

    u, y = logit(scores), np.asarray(right, np.float64)
    order = np.argsort(u, kind="stable")
    u, y = u[order], y[order]
    _, same, count = np.unique(u, return_inverse=True, return_counts=True)
    means = np.bincount(same, weights=y) / count  # of equal scores
    steps = isotonic_regression(means, weights=count).x[same]
    bounds = [0, *(np.flatnonzero(np.diff(steps) > 0) + 1).tolist(), len(u)]
    joined = [0]
    for bound in bounds[1:]:
        if bound - joined[-1] >= _BLOCK:
            joined.append(bound)
    joined[-1] = len(u)
    xs, ys = [], []
    for start, end in itertools.pairwise(joined):
        expected = expit(near(u[start:end])).mean()
        share = (y[start:end].sum() + _PRIOR_ANSWERS * expected) / (end - start + _PRIOR_ANSWERS)
        # Two knots per step: nearly flat within a step, rising between steps.
        xs += np.quantile(u[start:end], [0.1, 0.9]).tolist()
        ys += [float(logit(share)) - _TILT, float(logit(share)) + _TILT]
    # Keep a distance from the ends and from each other, so that the knots rise strictly.
    inner = np.clip(np.array(xs), 0.5 - EDGE, EDGE - 0.5)
    apart = np.concatenate([[True], np.diff(inner) > 1e-3])
    inner, steady = inner[apart], np.array(ys)[apart]
    below = KNOTS[inner[0] - 0.25 > KNOTS]
    above = KNOTS[inner[-1] + 0.25 < KNOTS]
    # Beyond the data the offset to the beta curve stays that of the last step.
    shift_low, shift_high = steady[0] - near(inner[:1]), steady[-1] - near(inner[-1:])
    return (
        np.concatenate([below, inner, above]),
        np.concatenate([near(below) + shift_low, steady, near(above) + shift_high]),
    )
