"""Evaluations of models that do not exist, drawn so that their true quality is known.

A frame has objects and a hardness that both models share; a model has a skill. Each object is
found as well as skill, hardness and chance allow, and there are false answers of lower score.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.scores import IOU_THRESHOLDS, Evaluation, FrameMatches

LABELS = ("a", "b", "c")
Holdout = Sequence[tuple[NDArray[np.int64], float]]  # (objects a class, hardness) a frame


def draw_holdout(rng: np.random.Generator, frames: int) -> Holdout:
    """Draw frames of about nine objects, of which a tenth belongs to the rarest class."""
    return [
        (rng.multinomial(rng.poisson(8) + 1, [0.7, 0.2, 0.1]), float(rng.normal()))
        for _ in range(frames)
    ]


def draw_model(rng: np.random.Generator, holdout: Holdout, *, skill: float) -> Evaluation:
    """Draw a model's answers; 0.06 of skill is worth about two points of AP."""
    frames = []
    for number, (objects, hardness) in enumerate(holdout):
        classes = np.repeat(np.arange(3), objects)
        quality = skill - 0.5 * hardness + rng.normal(size=len(classes))
        iou = _squash(0.8 * quality + 1)
        found = iou > 0.3
        false = rng.poisson(3)
        scores = np.concatenate(
            [
                _squash(quality + 0.7 * rng.normal(size=len(classes)))[found],
                _squash(rng.normal(size=false) - 1.5),
            ]
        )
        matched = np.concatenate(
            [
                (iou[:, None] >= np.array(IOU_THRESHOLDS))[found],
                np.zeros((false, len(IOU_THRESHOLDS)), np.bool_),
            ]
        )
        frames.append(
            FrameMatches(
                file_name=f"{number:03d}.png",
                objects=np.asarray(objects, np.int64),
                class_ids=np.concatenate([classes[found], rng.integers(0, 3, false)]),
                scores=scores,
                matched=matched,
                ignored=np.zeros_like(matched),
            )
        )
    return Evaluation("drawn", "holdout", "boxes", LABELS, tuple(frames))


def _squash(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-x))
