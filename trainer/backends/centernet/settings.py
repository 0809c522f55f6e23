"""This backend's own settings, read from FitConfig.extra and checked together."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from trainer.backends.centernet.frames import Augmentation
from trainer.detector import FitConfig
from trainer.errors import ConfigError
from trainer.fit_checks import shared_faults

DEEP = 128  # of networks whose description does not say, too


@dataclass(frozen=True)
class Settings:
    """Keys of FitConfig.extra; each has a default that works.

    steps: batches to learn from, or None for epochs, but at least min_steps of them, since a few
    frames make short epochs. width: channels of the finest level. deep: channels of the coarse
    levels, where most of the work is, and length of the embedding. weight_decay: of AdamW.
    ema: decay of the averaged weights that are kept. balance: how far rare classes are weighed
    up, 0 not at all, 1 to as much as any other. warmup: share of the steps in which the learning
    rate rises. save_every: seconds between saved states. The others: see Augmentation.
    """

    steps: int | None = None
    min_steps: int = 300
    width: int = 32
    deep: int = DEEP
    weight_decay: float = 0.02
    ema: float = 0.99
    balance: float = 0.5
    warmup: float = 0.08
    save_every: float = 15.0
    zoom: float = 1.35
    stretch: float = 1.1
    flip_horizontal: bool = True
    flip_vertical: bool = False
    colour: float = 0.25

    @property
    def augmentation(self) -> Augmentation:
        """How training frames are varied."""
        names = [f.name for f in dataclasses.fields(Augmentation)]
        return Augmentation(**{name: getattr(self, name) for name in names})

    def total_steps(self, config: FitConfig, frames: int) -> int:
        """Return the batches that a fit of so many frames learns from."""
        if self.steps is not None:
            return self.steps
        return max(config.epochs * math.ceil(frames / config.batch_size), self.min_steps)


def read_settings(config: FitConfig) -> Settings:
    """Check a config and return the settings in its extra; ConfigError lists every fault."""
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    faults = [
        f"extra.{name} is no setting of centernet; there are {', '.join(fields)}"
        for name in config.extra
        if name not in fields
    ]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults += [
        f"extra.{name} must be true or false: {value!r}"
        if name.startswith("flip")
        else f"extra.{name} must be a number: {value!r}"
        for name, value in values.items()
        if not (name == "steps" and value is None)
        and (
            not isinstance(value, bool)
            if name.startswith("flip")
            else isinstance(value, bool) or not isinstance(value, (int, float))
        )
    ]
    if not faults:
        faults += _ranges(config, Settings(**values))
    faults += shared_faults(config)
    if faults:
        raise ConfigError(faults)
    return Settings(**values)


def _ranges(config: FitConfig, settings: Settings) -> list[str]:
    height, width = config.image_size
    checks = [
        (
            min(height, width) >= 32,
            f"image_size must be (height, width) of 32 or more: {config.image_size}",
        ),
        (
            settings.steps is None or settings.steps >= 1,
            f"extra.steps must be 1 or more: {settings.steps}",
        ),
        (
            settings.width >= 8 and settings.width % 2 == 0,
            f"extra.width must be even and 8 or more: {settings.width}",
        ),
        (settings.deep >= 8, f"extra.deep must be 8 or more: {settings.deep}"),
        (0 <= settings.ema < 1, f"extra.ema must lie in 0..1: {settings.ema}"),
        (0 <= settings.balance <= 1, f"extra.balance must lie in 0..1: {settings.balance}"),
        (0 <= settings.warmup < 1, f"extra.warmup must lie in 0..1: {settings.warmup}"),
        (settings.zoom >= 1, f"extra.zoom must be 1 or more: {settings.zoom}"),
        (settings.stretch >= 1, f"extra.stretch must be 1 or more: {settings.stretch}"),
        (settings.colour >= 0, f"extra.colour must not be negative: {settings.colour}"),
    ]
    return [fault for passed, fault in checks if not passed]
