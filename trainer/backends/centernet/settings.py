"""The backend's own settings, read from FitConfig.extra and validated together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

from trainer.backends.features.package import SHIPPED, backbone_faults
from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.backend_settings import (
    SHARED_RULES,
    FrameSettings,
    Rule,
    boolean,
    number,
    read_extra,
)
from trainer.detector import FitConfig
from trainer.errors import ConfigError

DEEP = 128  # also of networks whose description does not state it


@dataclass(frozen=True)
class Augmentation:
    """How training frames are augmented.

    zoom: largest factor, in and out. stretch: factor of the aspect. flip_horizontal, flip_vertical:
    whether flipped frames are realistic. colour: strength of brightness, contrast and tint changes,
    0 for none.
    """

    zoom: float = 1.35
    stretch: float = 1.1
    flip_horizontal: bool = FrameSettings.flip_horizontal
    flip_vertical: bool = False
    colour: float = FrameSettings.colour


@dataclass(frozen=True)
class CenterNetSettings(FrameSettings):
    """Keys of FitConfig.extra; each has a default that works.

    backbone: the initial features: "lite0" for EfficientNet-Lite0 pretrained on ImageNet, a file
    with a team's own weights of that network, or "none" for a smaller network from scratch. frozen:
    number of backbone parts (the stem, then its blocks) that stay frozen. backbone_rate: factor of
    the learning rate in the backbone. tiles: whether large frames with small objects may be cut
    into tiles. width: channels of the finest level. deep: from scratch, channels of the coarse
    levels, and length of the embedding. balance: how much rare classes are weighted up, from 0 (not
    at all) to 1 (equal total weight). warmup: share of the steps in which the learning rate rises.
    The others: see FrameSettings and Augmentation.
    """

    backbone: str = SHIPPED
    frozen: int = 3
    backbone_rate: float = 0.15
    tiles: bool = True
    width: int = 32
    deep: int = DEEP
    weight_decay: float = 0.02
    balance: float = 0.5
    warmup: float = 0.08
    zoom: float = Augmentation.zoom
    stretch: float = Augmentation.stretch
    flip_vertical: bool = Augmentation.flip_vertical

    @property
    def augmentation(self) -> Augmentation:
        """Return how training frames are augmented."""
        names = [f.name for f in dataclasses.fields(Augmentation)]
        return Augmentation(**{name: getattr(self, name) for name in names})


def read_settings(config: FitConfig) -> CenterNetSettings:
    """Validate a config and return the settings in its extra; ConfigError lists every fault."""
    values, faults = read_extra(config, CenterNetSettings, _RULES)
    if not any(fault.startswith("extra.") for fault in faults):
        faults += backbone_faults(CenterNetSettings(**values).backbone)
    faults += shared_faults(config)
    if faults:
        raise ConfigError(faults)
    return CenterNetSettings(**values)


_RULES: Mapping[str, Rule] = {
    **SHARED_RULES,
    "backbone": (lambda v: isinstance(v, str) and bool(v), "lite0, none or a weights file"),
    "frozen": (lambda v: isinstance(v, int) and v is not bool(v) and 0 <= v <= 17, "0 to 17"),
    "backbone_rate": (number(0, 10), "a number in 0..10"),
    "tiles": (boolean, "true or false"),
    "width": (
        lambda v: isinstance(v, int) and v is not bool(v) and v >= 8 and v % 2 == 0,
        "even and 8 or more",
    ),
    "deep": (lambda v: isinstance(v, int) and v is not bool(v) and v >= 8, "8 or more"),
    "balance": (number(0, 1), "a number in 0..1"),
    "warmup": (number(0, 0.99), "a number in 0..1, less than 1"),
    "zoom": (number(1), "1 or more"),
    "stretch": (number(1), "1 or more"),
    "flip_vertical": (boolean, "true or false"),
    "colour": (number(0), "a number of 0 or more"),
}
