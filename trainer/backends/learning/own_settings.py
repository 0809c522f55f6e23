"""A backend's own settings in FitConfig.extra, held against rules; every fault is told at once."""

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
    """Return a rule's test for a number within bounds; true and false are none."""
    return lambda v: isinstance(v, (int, float)) and v is not bool(v) and least <= v <= most


def truth(value: Any) -> bool:
    """Return whether a value is true or false."""
    return isinstance(value, bool)


def total_steps(config: FitConfig, frames: int, *, steps: int | None, least: int) -> int:
    """Return the batches that a fit of so many frames learns from.

    steps: so many, or None for epochs, but at least `least`, since few frames make short epochs.
    """
    if steps is not None:
        return steps
    return max(config.epochs * math.ceil(frames / config.batch_size), least)


# Of settings that every backend of the shared loop has.
SHARED_RULES: Mapping[str, Rule] = {
    "steps": (
        lambda v: v is None or (isinstance(v, int) and v is not True and v >= 1),
        "1 or more",
    ),
    "min_steps": (lambda v: isinstance(v, int) and v is not True and v >= 1, "1 or more"),
    "weight_decay": (number(0), "a number of 0 or more"),
    "ema": (number(0, 0.99999), "a number in 0..1, less than 1"),
    "flip_horizontal": (truth, "true or false"),
    "colour": (number(0, 1), "a number in 0..1"),
    "save_every": (number(0), "seconds, 0 or more"),
    "pretrained": (truth, "true or false"),
}


def read_extra(
    config: FitConfig, kind: type[DataclassInstance], rules: Mapping[str, Rule]
) -> tuple[dict[str, Any], list[str]]:
    """Return the values in config.extra that are fields of kind, and a sentence for each fault."""
    fields = [f.name for f in dataclasses.fields(kind)]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults = [
        f"extra.{name} is no setting of {config.backend}; there are {', '.join(fields)}"
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
