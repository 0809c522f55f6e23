"""The backend's own settings, read from FitConfig.extra and validated together; no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.backend_settings import (
    SHARED_RULES,
    FrameSettings,
    Rule,
    number,
    read_extra,
)
from trainer.detector import FitConfig
from trainer.errors import ConfigError

PUBLISHED = (
    "lraspp_mobilenet_v3_large",
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "deeplabv3_resnet101",
)
ARCHITECTURES = (*PUBLISHED, "lraspp_mobilenet_v3_small")


@dataclass(frozen=True)
class SemanticSettings(FrameSettings):
    """Keys of FitConfig.extra; each has a default that works. The others: see FrameSettings.

    task: "masks", the only one. architecture: one of ARCHITECTURES; if unset, that of the base, or
    the first of them. pretrained: start from torchvision's published weights, trained on COCO with
    the classes of Pascal VOC. balance: how much classes with few pixels are weighted up, from 0
    (not at all) to 1 (equal total weight). zoom: largest scale factor, in and out.
    """

    task: str = "masks"
    architecture: str | None = None
    pretrained: bool = False
    balance: float = 0.5
    zoom: float = 1.35

    def resolved(self, base: str | None = None) -> SemanticSettings:
        """Return the settings with the architecture filled in. base: the base's architecture."""
        return replace(self, architecture=self.architecture or base or ARCHITECTURES[0])


_RULES: dict[str, Rule] = {
    **SHARED_RULES,
    "task": (lambda v: v == "masks", "masks, the only task of this backend"),
    "architecture": (
        lambda v: v is None or v in ARCHITECTURES,
        f"one of {', '.join(ARCHITECTURES)}",
    ),
    "balance": (number(0, 1), "a number in 0..1"),
    "zoom": (number(1, 4), "a number in 1..4"),
}


def read_settings(config: FitConfig) -> SemanticSettings:
    """Validate a config and return the settings in its extra; ConfigError lists every fault."""
    values, faults = read_extra(config, SemanticSettings, _RULES)
    name = values.get("architecture")
    if values.get("pretrained") and config.base is not None:
        faults.append("extra.pretrained and base contradict each other: start from one of them")
    if values.get("pretrained") and name is not None and name not in PUBLISHED:
        faults.append(
            f"extra.pretrained: torchvision publishes no weights of {name}; it does of "
            f"{', '.join(PUBLISHED)}"
        )
    faults += shared_faults(config)
    if faults:
        raise ConfigError(faults)
    return SemanticSettings(**values)
