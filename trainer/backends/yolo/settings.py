"""The backend's own settings, read from FitConfig.extra and validated together."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from typing import Any

from trainer.backends.fit_checks import devices_of, shared_faults
from trainer.detector import FitConfig
from trainer.errors import ConfigError

STRIDE = 32  # of the coarsest feature map of the family; sides are multiples of it
OPTIMIZERS = ("AdamW", "Adam", "SGD", "MuSGD", "auto")


@dataclass(frozen=True)
class YoloSettings:
    """Keys of FitConfig.extra; each has a default that works.

    model: the network to train from scratch, such as yolo11n, yolov8s, yolov5n or yolo26n; base
    weights determine their own. task: "boxes" or "masks". optimizer: "auto" lets ultralytics choose
    it and the learning rate. patience: epochs without improvement on val before the fit ends.
    freeze: number of first layers to freeze. The others are ultralytics' training settings of that
    name.
    """

    model: str = "yolo11n"
    task: str = "boxes"
    optimizer: str = "AdamW"
    patience: int = 50
    freeze: int = 0
    cos_lr: bool = True
    lrf: float = 0.01
    weight_decay: float = 0.0005
    warmup_epochs: float = 3.0
    mosaic: float = 1.0
    close_mosaic: int = 10
    scale: float = 0.5
    translate: float = 0.1
    degrees: float = 0.0
    fliplr: float = 0.5
    flipud: float = 0.0
    hsv_h: float = 0.015
    hsv_s: float = 0.7
    hsv_v: float = 0.4
    cls_pw: float = 0.0
    amp: bool = False

    def overrides(self, config: FitConfig) -> dict[str, Any]:
        """Return ultralytics' arguments; the step schedule is set by with_step_schedule."""
        values = dataclasses.asdict(self)
        del values["model"], values["task"]
        values["freeze"] = self.freeze or None
        if config.schedule != "cosine":
            values["cos_lr"] = False
        if config.schedule == "constant":
            values["lrf"] = 1.0
        if config.early_stopping:  # ultralytics counts it in epochs
            values["patience"] = config.early_stopping * (config.evaluation_period or 1)
        if config.precision != "fp32":
            values["amp"] = config.precision
        return values


_RANGES = {
    "patience": (0, math.inf),
    "freeze": (0, 100),
    "lrf": (0, 1),
    "weight_decay": (0, 1),
    "warmup_epochs": (0, math.inf),
    "mosaic": (0, 1),
    "close_mosaic": (0, math.inf),
    "scale": (0, 1),
    "translate": (0, 1),
    "degrees": (0, 180),
    "fliplr": (0, 1),
    "flipud": (0, 1),
    "hsv_h": (0, 1),
    "hsv_s": (0, 1),
    "hsv_v": (0, 1),
    "cls_pw": (0, 1),
}


def read_settings(config: FitConfig) -> YoloSettings:
    """Validate a config and return the settings in its extra; ConfigError lists every fault."""
    fields = {f.name: f for f in dataclasses.fields(YoloSettings)}
    faults = [
        f"extra.{name} is not a setting of yolo; known are {', '.join(fields)}"
        for name in config.extra
        if name not in fields
    ]
    values = {name: value for name, value in config.extra.items() if name in fields}
    faults += [fault for name, value in values.items() if (fault := _fault(name, value))]
    checks = [
        (min(config.image_size) >= STRIDE, f"image_size must be {STRIDE} or more a side"),
        (
            config.base is None or "model" not in values,
            "extra.model and base contradict each other: the base weights determine the network",
        ),
        (
            not (values.get("cos_lr") is not None and config.schedule != "cosine"),
            f"extra.cos_lr and schedule={config.schedule} contradict each other; use schedule",
        ),
        (
            not (values.get("patience") is not None and config.early_stopping),
            "extra.patience and early_stopping contradict each other; use early_stopping",
        ),
        (
            not (values.get("amp") and config.precision != "fp32"),
            f"extra.amp and precision={config.precision} contradict each other; use precision",
        ),
        (
            len(devices_of(config)) == 1 or config.batch_size % len(devices_of(config)) == 0,
            f"batch_size {config.batch_size} must be a multiple of the devices in {config.device}",
        ),
    ]
    faults += [fault for passed, fault in checks if not passed]
    faults += shared_faults(config, several=True, restarts=False)
    if faults:
        raise ConfigError(faults)
    return YoloSettings(**values)


def network_size(config: FitConfig) -> tuple[int, int]:
    """Return image_size with each side rounded up to a multiple of STRIDE."""
    height, width = (math.ceil(side / STRIDE) * STRIDE for side in config.image_size)
    return height, width


def _fault(name: str, value: Any) -> str:
    """Return what is wrong with one setting, "" if nothing."""
    default = getattr(YoloSettings, name)
    if name == "model":
        known = isinstance(value, str) and re.fullmatch(r"yolov?\d+[a-z]", value) is not None
        return (
            "" if known else f"extra.model must be a name like yolo11n, without suffix: {value!r}"
        )
    if name in ("task", "optimizer"):
        choice = ("boxes", "masks") if name == "task" else OPTIMIZERS
        return "" if value in choice else f"extra.{name} must be of {', '.join(choice)}: {value!r}"
    if isinstance(default, bool):
        known = isinstance(value, bool)
        return "" if known else f"extra.{name} must be true or false: {value!r}"
    low, high = _RANGES[name]
    number = isinstance(value, int) or (isinstance(default, float) and isinstance(value, float))
    if isinstance(value, bool) or not number:
        kind = "a number" if isinstance(default, float) else "a whole number"
        return f"extra.{name} must be {kind}: {value!r}"
    return "" if low <= value <= high else f"extra.{name} must lie in {low}..{high}: {value}"
