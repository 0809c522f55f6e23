"""Validate a backend's own settings in FitConfig.extra; every fault is reported at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from trainer.detector import FitConfig

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Rule = tuple[Callable[[Any], bool], str]  # whether a value passes, and what it must be


def number(least: float, most: float = math.inf) -> Callable[[Any], bool]:
    """Return a rule's test for a number within bounds; booleans are rejected."""
    return lambda v: isinstance(v, (int, float)) and v is not bool(v) and least <= v <= most


def boolean(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


@dataclasses.dataclass(frozen=True)
class SharedSettings:
    """Keys of FitConfig.extra that every backend of the shared loop has.

    steps: number of training steps, or None for epochs, but at least min_steps, since few frames
    make short epochs. weight_decay: of AdamW. ema: decay of the weight average. save_every: seconds
    between saved states, from which a killed fit resumes. colour: strength of brightness, contrast
    and tint changes, 0 for none.
    """

    steps: int | None = None
    min_steps: int = 300
    weight_decay: float = 0.01
    ema: float = 0.99
    save_every: float = 15.0
    colour: float = 0.25

    def total_steps(self, config: FitConfig, frames: int) -> int:
        """Return the number of steps of a fit on this many frames (or objects)."""
        if self.steps is not None:
            return self.steps
        return max(config.epochs * math.ceil(frames / config.batch_size), self.min_steps)


@dataclasses.dataclass(frozen=True)
class FrameSettings(SharedSettings):
    """The same for backends that train on whole frames.

    flip_horizontal: whether flipped frames are realistic.
    """

    flip_horizontal: bool = True


# Settings that every backend of the shared loop has.
SHARED_RULES: Mapping[str, Rule] = {
    "steps": (
        lambda v: v is None or (isinstance(v, int) and v is not True and v >= 1),
        "1 or more",
    ),
    "min_steps": (lambda v: isinstance(v, int) and v is not True and v >= 1, "1 or more"),
    "weight_decay": (number(0), "a number of 0 or more"),
    "ema": (number(0, 0.99999), "a number in 0..1, less than 1"),
    "flip_horizontal": (boolean, "true or false"),
    "colour": (number(0, 1), "a number in 0..1"),
    "save_every": (number(0), "seconds, 0 or more"),
    "pretrained": (boolean, "true or false"),
}


def read_extra(
    config: FitConfig, kind: type[DataclassInstance], rules: Mapping[str, Rule]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values in config.extra that are fields of kind, and a sentence for each fault."""
    fields = [f.name for f in dataclasses.fields(kind)]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults = [
        f"extra.{name} is not a setting of {config.backend}; known are {', '.join(fields)}"
        for name in config.extra
        if name not in fields
    ]
    faults += [
        f"extra.{name} must be {rules[name][1]}: {value!r}"
        for name, value in values.items()
        if not rules[name][0](value)
    ]
    if min(config.image_size) < 32:
        faults.append(
            f"image_size must be (height, width) of 32 or more, found {config.image_size}"
        )
    return values, faults
