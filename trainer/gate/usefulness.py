"""Decide whether a model, and each of its classes, is useful, by AP50 and its lower bound.

This rates a single model: the first one, which has no champion to beat, and each class, which may
be good although the mean is not. Two models are compared in trainer.gate.promote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from trainer.evaluation.bootstrap import interval, units_of
from trainer.gate.gate_settings import GateSettings
from trainer.scores import Evaluation

Use = Literal["useful", "unsure", "weak"]


@dataclass(frozen=True)
class UsefulnessScore:
    """The quality of a model, or of one of its classes.

    ap50: on the evaluation frames, None if they contain no object. low: lower bound of AP50 at
    useful_confidence, 0 if there are too few frames. objects: number of labelled objects.
    """

    ap50: float | None
    low: float
    objects: int

    def use(self, settings: GateSettings) -> Use:
        """Return whether it is useful, too weak, or not known well enough to say.

        Useful: AP50 and its lower bound reach their floors. Weak: enough objects, and AP50 is below
        its floor. In between, or with too few objects, it is unclear.
        """
        if self.ap50 is None or self.objects < settings.useful_objects:
            return "unsure"
        if self.ap50 < settings.useful_ap50:
            return "weak"
        return "useful" if self.low >= settings.useful_low else "unsure"


@dataclass(frozen=True)
class Usefulness:
    """A model as a whole (the mean over its classes) and each class. frames: number evaluated."""

    frames: int
    whole: UsefulnessScore
    classes: Mapping[str, UsefulnessScore]

    def useful_classes(self, settings: GateSettings) -> tuple[str, ...]:
        """Return the classes that are useful by themselves, in the order of the labels."""
        return tuple(n for n, found in self.classes.items() if found.use(settings) == "useful")

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values that from_json reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Usefulness:
        """Read what to_json wrote."""
        classes = {name: UsefulnessScore(**found) for name, found in values["classes"].items()}
        return cls(values["frames"], UsefulnessScore(**values["whole"]), classes)


def usefulness(
    evaluation: Evaluation,
    settings: GateSettings,
    *,
    rng: np.random.Generator,
    groups: Mapping[str, str] | None = None,
) -> Usefulness:
    """Compute AP50 with its lower bounds, by a bootstrap over frames.

    groups: file name → video or scene, resampled as a whole; if all frames are in one group, frames
    are resampled individually, since a single unit gives no bound. A resample without an object of
    a class counts as AP50 0, so a class in few frames never has a high lower bound.
    """
    whole, each = evaluation.overall.ap50, evaluation.overall.class_ap50
    counts = evaluation.objects
    held = dict(groups or {})
    if units_of(evaluation, held) < 2:
        held = {}
    units = units_of(evaluation, held)
    low, lows = 0.0, dict.fromkeys(counts, 0.0)
    if whole is not None and units >= 2:
        names = [held.get(f.file_name, f.file_name) for f in evaluation.frames]
        _, unit = np.unique(names, return_inverse=True)
        rows = np.zeros((settings.resamples, 1 + len(counts)))
        for row in rows:
            drawn = evaluation.scores(rng.multinomial(units, np.full(units, 1 / units))[unit])
            row[:] = [drawn.ap50 or 0.0, *(drawn.class_ap50[name] or 0.0 for name in counts)]
        bounds = [interval(column, settings.useful_confidence, units=units)[0] for column in rows.T]
        low, lows = bounds[0], dict(zip(counts, bounds[1:], strict=True))
    return Usefulness(
        len(evaluation.frames),
        UsefulnessScore(whole, low, sum(counts.values())),
        {name: UsefulnessScore(each[name], lows[name], count) for name, count in counts.items()},
    )
