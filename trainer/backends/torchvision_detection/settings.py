"""This backend's own settings, read from FitConfig.extra and checked together; without torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from trainer.detector import FitConfig
from trainer.errors import ConfigError
from trainer.fit_checks import shared_faults

ARCHITECTURES = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_resnet18_fpn",
    "fasterrcnn_resnet34_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
    "maskrcnn_resnet18_fpn",
    "maskrcnn_resnet34_fpn",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "retinanet_resnet18_fpn",
    "retinanet_resnet34_fpn",
    "fcos_resnet50_fpn",
    "fcos_resnet18_fpn",
    "fcos_resnet34_fpn",
)


@dataclass(frozen=True)
class Settings:
    """Keys of FitConfig.extra; each has a default that works.

    architecture: one of ARCHITECTURES. steps: batches to learn from, or None for epochs.
    weight_decay: of AdamW. ema: decay of the averaged weights that are kept. flip_horizontal:
    whether a mirrored frame is still a likely one. colour: strength of changes of colour.
    save_every: seconds between states that a killed fit goes on from.
    """

    architecture: str = "fasterrcnn_mobilenet_v3_large_320_fpn"
    steps: int | None = None
    weight_decay: float = 0.01
    ema: float = 0.99
    flip_horizontal: bool = True
    colour: float = 0.25
    save_every: float = 15.0

    @property
    def masked(self) -> bool:
        """Whether masks are learnt beside boxes."""
        return self.architecture.startswith("maskrcnn")

    @property
    def staged(self) -> bool:
        """Whether regions are proposed first, so that there is a background class."""
        return "rcnn" in self.architecture

    def total_steps(self, config: FitConfig, frames: int) -> int:
        """Return the batches that a fit of so many frames learns from."""
        return self.steps or config.epochs * math.ceil(frames / config.batch_size)


def read_settings(config: FitConfig) -> Settings:
    """Check a config and return the settings in its extra; ConfigError lists every fault."""
    fields = [f.name for f in dataclasses.fields(Settings)]
    faults = [
        f"extra.{name} is no setting of {config.backend}; there are {', '.join(fields)}"
        for name in config.extra
        if name not in fields
    ]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults += [
        f"extra.{name} must be {wanted}: {values[name]!r}"
        for name, (passed, wanted) in _checks(values).items()
        if name in values and not passed
    ]
    if min(config.image_size) < 32:
        faults.append(
            f"image_size must be (height, width) of 32 or more, found {config.image_size}"
        )
    two = "rcnn" in str(values.get("architecture", Settings.architecture))
    faults += shared_faults(config, regions=two)
    if faults:
        raise ConfigError(faults)
    return Settings(**values)


def _checks(values: dict[str, object]) -> dict[str, tuple[bool, str]]:
    steps = values.get("steps")
    return {
        "architecture": (
            values.get("architecture") in ARCHITECTURES,
            f"one of {', '.join(ARCHITECTURES)}",
        ),
        "steps": (
            steps is None or (isinstance(steps, int) and steps is not True and steps >= 1),
            "1 or more",
        ),
        "weight_decay": (_number(values.get("weight_decay"), math.inf), "a number of 0 or more"),
        "ema": (_number(values.get("ema"), 0.99999), "a number in 0..1, less than 1"),
        "flip_horizontal": (isinstance(values.get("flip_horizontal"), bool), "true or false"),
        "colour": (_number(values.get("colour"), 1.0), "a number in 0..1"),
        "save_every": (_number(values.get("save_every"), math.inf), "seconds, 0 or more"),
    }


def _number(value: object, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
