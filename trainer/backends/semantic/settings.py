"""This backend's own settings, read from FitConfig.extra and checked together; without torch."""

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

    task: "masks", all that it learns. architecture: one of ARCHITECTURES; unset, that of the
    base, or the first of them. pretrained: begin with torchvision's published weights, of COCO
    with the classes of Pascal VOC. balance: how far classes of few pixels are weighed up, 0 not at
    all, 1 to as much as any other. zoom: largest factor of size, both ways.
    """

    task: str = "masks"
    architecture: str | None = None
    pretrained: bool = False
    balance: float = 0.5
    zoom: float = 1.35

    def resolved(self, base: str | None = None) -> SemanticSettings:
        """Return them with the architecture filled in. base: the base's architecture."""
        return replace(self, architecture=self.architecture or base or ARCHITECTURES[0])


_RULES: dict[str, Rule] = {
    **SHARED_RULES,
    "task": (lambda v: v == "masks", "masks, all that this backend learns"),
    "architecture": (
        lambda v: v is None or v in ARCHITECTURES,
        f"one of {', '.join(ARCHITECTURES)}",
    ),
    "balance": (number(0, 1), "a number in 0..1"),
    "zoom": (number(1, 4), "a number in 1..4"),
}


def read_settings(config: FitConfig) -> SemanticSettings:
    """Check a config and return the settings in its extra; ConfigError lists every fault."""
    values, faults = read_extra(config, SemanticSettings, _RULES)
    name = values.get("architecture")
    if values.get("pretrained") and config.base is not None:
        faults.append("extra.pretrained and base contradict each other: begin with one of them")
    if values.get("pretrained") and name is not None and name not in PUBLISHED:
        faults.append(
            f"extra.pretrained: torchvision publishes no weights of {name}; of those there are "
            f"{', '.join(PUBLISHED)}"
        )
    faults += shared_faults(config)
    if faults:
        raise ConfigError(faults)
    return SemanticSettings(**values)
