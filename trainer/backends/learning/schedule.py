"""The learning rate over a fit."""

from __future__ import annotations

import math

from trainer.detector import FitConfig

_LEAST = 0.01  # of the peak rate, at the end of a cosine


def rate(config: FitConfig, done: float, *, warmup: float) -> float:
    """Return the learning rate when the share `done` (0..1) of the fit is complete.

    warmup: share in which the rate rises from a twentieth to its peak. cosine: Loshchilov and
    Hutter, SGDR, 2017, without restarts; with restarts it is that of one cycle. step: times gamma
    from each milestone (an epoch) on.
    """
    if done < warmup:
        return config.learning_rate * (0.05 + 0.95 * done / warmup)
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step":
        return config.learning_rate * stepped(config, done * config.epochs)
    past = min(1.0, (done - warmup) / (1 - warmup))
    return config.learning_rate * max(_LEAST, (1 + math.cos(math.pi * past)) / 2)


def stepped(config: FitConfig, epoch: float) -> float:
    """Return the factor of a step schedule at an epoch (from 0)."""
    return config.gamma ** sum(epoch >= milestone for milestone in milestones(config))


def milestones(config: FitConfig) -> tuple[float, ...]:
    """Return the epochs after which a step schedule lowers the rate."""
    return config.milestones or (config.epochs * 2 / 3, config.epochs * 8 / 9)
