"""This backend's own settings, read from FitConfig.extra and checked together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer.backends.extreme_points.clicking import Variation
from trainer.backends.extreme_points.cutouts import SIDE
from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.own_settings import SharedSettings
from trainer.detector import FitConfig
from trainer.errors import ConfigError

STRIDE = 16  # height and width of the input are multiples of it
_SHOWN = 0.75  # of a crop's side: how large it shows an object


@dataclass(frozen=True)
class Settings(SharedSettings):
    """Keys of FitConfig.extra; each has a default that works.

    Epochs are over the objects.
    width: channels of the finest level of the decoder. backbone: "" for the small network,
    "lite0" for the one that corrects masks, or "resnet18" or "mobilenet_v3_large" of torchvision;
    pretrained: begin with its published weights. encoder_rate: of the learning rate, in lite0's
    encoder. warmup: share of the fit in which the learning rate rises.
    first_size, grow: side of the crops in the first part of the steps (0: the same), and how large
    that part is. spoilt: share of samples that begin with a mask to correct. most: objects of one
    source kept in memory. shares: how often a source (images[].source) is drawn, all alike where
    it is empty. composed: share of samples that are composed scenes. still: leave the norms of
    the base as they are. held: share of the images (and of most) that choose how much of the fit
    is mixed into the base, see blending.
    The others: see SharedSettings and Variation.
    """

    min_steps: int = 200
    width: int = 16
    backbone: str = ""
    pretrained: bool = False
    encoder_rate: float = 0.2
    ema: float = 0.995
    warmup: float = 0.05
    save_every: float = 60.0
    first_size: int = 0
    grow: float = 0.5
    most: int = 4000
    shares: Mapping[str, float] = field(default_factory=dict)
    composed: float = 0.25
    spoilt: float = 0.25
    still: bool = False
    held: float = 0.0
    jitter: float = Variation.jitter
    steady: float = Variation.steady
    tremble: float = Variation.tremble
    boxes: float = Variation.boxes
    blind: float = Variation.blind
    corrected: float = Variation.corrected
    turn: float = Variation.turn
    stretch: float = Variation.stretch
    colour: float = Variation.colour

    @property
    def variation(self) -> Variation:
        """How objects and clicks are varied."""
        names = [f.name for f in dataclasses.fields(Variation)]
        return Variation(**{name: getattr(self, name) for name in names})

    def kept_side(self, config: FitConfig) -> int:
        """Return how large objects are kept, pixels: as large as a crop shows them."""
        return max(SIDE, round(_SHOWN * config.image_size[0]))


_WHOLE = ("min_steps", "width", "first_size", "most")


def read_settings(config: FitConfig) -> Settings:
    """Check a config and return the settings in its extra; ConfigError lists every fault."""
    fields = {f.name: f for f in dataclasses.fields(Settings)}
    faults = [
        f"extra.{name} is no setting of extreme_points; there are {', '.join(fields)}"
        for name in config.extra
        if name not in fields
    ]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults += [fault for name, value in values.items() if (fault := _fault(name, value))]
    if not faults:
        faults += _ranges(config, Settings(**values))
    faults += shared_faults(config, precisions=("fp32",))
    faults += [
        f"extreme_points has no {name}: leave it out"
        for name, set_ in (
            ("early_stopping", bool(config.early_stopping)),
            ("evaluation_period", bool(config.evaluation_period)),
            (f"schedule={config.schedule}", config.schedule == "step"),
            (f"schedule={config.schedule}", config.schedule == "constant"),
        )
        if set_
    ]
    if faults:
        raise ConfigError(faults)
    return Settings(**values)


def _fault(name: str, value: object) -> str:
    if name == "backbone":
        known = ("", "lite0", "resnet18", "mobilenet_v3_large")
        return "" if value in known else f"extra.backbone must be one of {known}: {value!r}"
    if name in ("pretrained", "still"):
        return "" if isinstance(value, bool) else f"extra.{name} must be true or false: {value!r}"
    if name == "shares":
        fine = isinstance(value, Mapping) and all(
            isinstance(v, (int, float)) and v >= 0 for v in value.values()
        )
        return "" if fine else f"extra.shares must be numbers by source: {value!r}"
    if name == "steps" and value is None:
        return ""
    whole = name in (*_WHOLE, "steps")
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        return f"extra.{name} must be a {'whole ' if whole else ''}number: {value!r}"
    return ""


def _ranges(config: FitConfig, settings: Settings) -> list[str]:
    height, width = config.image_size
    shares = (
        *("ema", "warmup", "grow", "composed", "spoilt", "held", "encoder_rate"),
        *("steady", "boxes", "blind", "corrected"),
    )
    checks = [
        (config.batch_size >= 2, f"batch_size must be 2 or more: {config.batch_size}"),
        (
            height == width and height >= 32 and height % STRIDE == 0,
            f"image_size must be square, a multiple of {STRIDE} from 32 on: {config.image_size}",
        ),
        (
            settings.backbone != "lite0" or height % 32 == settings.first_size % 32 == 0,
            "extra.backbone=lite0 needs image_size and extra.first_size of multiples of 32",
        ),
        (
            settings.steps is None or settings.steps >= 1,
            f"extra.steps must be 1 or more: {settings.steps}",
        ),
        (
            settings.first_size == 0
            or (settings.first_size >= 32 and settings.first_size % STRIDE == 0),
            f"extra.first_size must be 0 or a multiple of {STRIDE}: {settings.first_size}",
        ),
        (settings.width >= 4, f"extra.width must be 4 or more: {settings.width}"),
        (settings.most >= 1, f"extra.most must be 1 or more: {settings.most}"),
        (settings.ema < 1, f"extra.ema must be below 1: {settings.ema}"),
        (settings.stretch >= 1, f"extra.stretch must be 1 or more: {settings.stretch}"),
        (
            min(settings.jitter, settings.tremble, settings.turn, settings.colour) >= 0,
            "extra.jitter, tremble, turn and colour must not be negative",
        ),
        (
            not settings.pretrained or bool(settings.backbone),
            "extra.pretrained needs extra.backbone: the small network has no published weights",
        ),
        (
            config.base is not None or not (settings.still or settings.held),
            "extra.still and extra.held are for a fit that begins with a base",
        ),
        *((0 <= getattr(settings, name) <= 1, f"extra.{name} must lie in 0..1") for name in shares),
    ]
    return [fault for passed, fault in checks if not passed]
