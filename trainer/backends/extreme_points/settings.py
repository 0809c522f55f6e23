"""The backend's own settings, read from FitConfig.extra and validated together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from trainer.backends.extreme_points.click_samples import ClickAugmentation
from trainer.backends.extreme_points.object_crops import SIDE
from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.backend_settings import SharedSettings
from trainer.detector import FitConfig
from trainer.errors import ConfigError
from trainer.renamed import current_settings

STRIDE = 16  # height and width of the input are multiples of it
_SHOWN = 0.75  # of a crop's side that an object takes


@dataclass(frozen=True)
class ExtremePointsSettings(SharedSettings):
    """Keys of FitConfig.extra; each has a default that works.

    Epochs are over the objects. width: channels of the finest level of the decoder. backbone: ""
    for the small network, "lite0" for the one that corrects masks, or "resnet18" or
    "mobilenet_v3_large" of torchvision; pretrained: start from its published weights. encoder_rate:
    factor of the learning rate in lite0's encoder. warmup: share of the fit in which the learning
    rate rises. initial_size, initial_share: side of the crops in the first steps (0: the same as
    later), and the share of these steps. corrupted: share of samples that start from a corrupted
    mask. max_objects: objects of one source kept in memory. shares: sampling weight of each source
    (images[].source), equal when empty. composed: share of samples that are composed scenes.
    freeze_norm: keep the batch norm statistics of the base. held_out: share of the images (and of
    max_objects) on which the interpolation between base and fit is chosen, see blending. The
    others: see SharedSettings and ClickAugmentation.
    """

    min_steps: int = 200
    width: int = 16
    backbone: str = ""
    pretrained: bool = False
    encoder_rate: float = 0.2
    ema: float = 0.995
    warmup: float = 0.05
    save_every: float = 60.0
    initial_size: int = 0
    initial_share: float = 0.5
    max_objects: int = 4000
    shares: Mapping[str, float] = field(default_factory=dict)
    composed: float = 0.25
    corrupted: float = 0.25
    freeze_norm: bool = False
    held_out: float = 0.0
    relative_jitter: float = ClickAugmentation.relative_jitter
    exact_share: float = ClickAugmentation.exact_share
    click_jitter: float = ClickAugmentation.click_jitter
    boxes: float = ClickAugmentation.boxes
    single_click: float = ClickAugmentation.single_click
    corrected: float = ClickAugmentation.corrected
    turn: float = ClickAugmentation.turn
    stretch: float = ClickAugmentation.stretch
    colour: float = ClickAugmentation.colour

    @property
    def augmentation(self) -> ClickAugmentation:
        """Return how objects and clicks are augmented."""
        names = [f.name for f in dataclasses.fields(ClickAugmentation)]
        return ClickAugmentation(**{name: getattr(self, name) for name in names})

    def kept_side(self, config: FitConfig) -> int:
        """Return the side at which objects are stored, pixels: as large as a crop shows them."""
        return max(SIDE, round(_SHOWN * config.image_size[0]))


_WHOLE = ("min_steps", "width", "initial_size", "max_objects")


def read_settings(config: FitConfig) -> ExtremePointsSettings:
    """Check a config and return the settings in its extra; ConfigError lists every fault."""
    fields = {f.name: f for f in dataclasses.fields(ExtremePointsSettings)}
    extra = current_settings(config.backend, config.extra)
    faults = [
        f"extra.{name} is not a setting of extreme_points; known are {', '.join(fields)}"
        for name in extra
        if name not in fields
    ]
    values = {name: value for name, value in extra.items() if name in fields}
    faults += [fault for name, value in values.items() if (fault := _fault(name, value))]
    if not faults:
        faults += _ranges(config, ExtremePointsSettings(**values))
    faults += shared_faults(config, precisions=("fp32",))
    faults += [
        f"extreme_points does not support {name}: remove it"
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
    return ExtremePointsSettings(**values)


def _fault(name: str, value: object) -> str:
    if name == "backbone":
        known = ("", "lite0", "resnet18", "mobilenet_v3_large")
        return "" if value in known else f"extra.backbone must be one of {known}: {value!r}"
    if name in ("pretrained", "freeze_norm"):
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


def _ranges(config: FitConfig, settings: ExtremePointsSettings) -> list[str]:
    height, width = config.image_size
    shares = (
        *("ema", "warmup", "initial_share", "composed", "corrupted", "held_out", "encoder_rate"),
        *("exact_share", "boxes", "single_click", "corrected"),
    )
    checks = [
        (config.batch_size >= 2, f"batch_size must be 2 or more: {config.batch_size}"),
        (
            height == width and height >= 32 and height % STRIDE == 0,
            f"image_size must be square, a multiple of {STRIDE} from 32 on: {config.image_size}",
        ),
        (
            settings.backbone != "lite0" or height % 32 == settings.initial_size % 32 == 0,
            "extra.backbone=lite0 needs image_size and extra.initial_size of multiples of 32",
        ),
        (
            settings.steps is None or settings.steps >= 1,
            f"extra.steps must be 1 or more: {settings.steps}",
        ),
        (
            settings.initial_size == 0
            or (settings.initial_size >= 32 and settings.initial_size % STRIDE == 0),
            f"extra.initial_size must be 0 or a multiple of {STRIDE}: {settings.initial_size}",
        ),
        (settings.width >= 4, f"extra.width must be 4 or more: {settings.width}"),
        (settings.max_objects >= 1, f"extra.max_objects must be 1 or more: {settings.max_objects}"),
        (settings.ema < 1, f"extra.ema must be below 1: {settings.ema}"),
        (settings.stretch >= 1, f"extra.stretch must be 1 or more: {settings.stretch}"),
        (
            min(settings.relative_jitter, settings.click_jitter, settings.turn, settings.colour)
            >= 0,
            "extra.relative_jitter, tremble, turn and colour must not be negative",
        ),
        (
            not settings.pretrained or bool(settings.backbone),
            "extra.pretrained needs extra.backbone: the small network has no published weights",
        ),
        (
            config.base is not None or not (settings.freeze_norm or settings.held_out),
            "extra.freeze_norm and extra.held_out need base weights",
        ),
        *((0 <= getattr(settings, name) <= 1, f"extra.{name} must lie in 0..1") for name in shares),
    ]
    return [fault for passed, fault in checks if not passed]
