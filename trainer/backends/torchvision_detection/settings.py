"""The backend's own settings, read from FitConfig.extra and validated together; no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trainer.backends.fit_checks import shared_faults
from trainer.backends.learning.backend_settings import SHARED_RULES, FrameSettings, Rule, read_extra
from trainer.detector import FitConfig
from trainer.errors import ConfigError

PUBLISHED = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2",
    "retinanet_resnet50_fpn",
    "retinanet_resnet50_fpn_v2",
    "fcos_resnet50_fpn",
)
# The same heads on smaller networks, for which torchvision publishes no weights.
SMALL = tuple(
    f"{family}_{trunk}_fpn"
    for family in ("fasterrcnn", "maskrcnn", "retinanet", "fcos")
    for trunk in ("resnet18", "resnet34", "mobilenet_v3_small")
)
ARCHITECTURES = (*PUBLISHED, *SMALL)
_USUAL = {"boxes": "fasterrcnn_mobilenet_v3_large_fpn", "masks": "maskrcnn_resnet18_fpn"}


@dataclass(frozen=True)
class TorchvisionSettings(FrameSettings):
    """Keys of FitConfig.extra; each has a default that works. The others: see FrameSettings.

    task: "boxes" or "masks". architecture: one of ARCHITECTURES; if unset, that of the base, or a
    default of the task. pretrained: start from torchvision's published COCO weights.
    """

    task: str | None = None
    architecture: str | None = None
    pretrained: bool = False

    def resolved(self, base: str | None = None) -> TorchvisionSettings:
        """Return the settings with task and architecture filled in. base: its architecture."""
        usual = _USUAL[self.task or "boxes"]
        architecture = self.architecture or base or usual
        return replace(self, architecture=architecture, task=task_of(architecture))


def task_of(architecture: str) -> str:
    """Return what a network predicts, "boxes" or "masks"."""
    return "masks" if architecture.startswith("maskrcnn") else "boxes"


def two_stages(architecture: str) -> bool:
    """Return whether a network proposes regions first, and so has a background class."""
    return "rcnn" in architecture


_RULES: dict[str, Rule] = {
    **SHARED_RULES,
    "task": (lambda v: v in (None, "boxes", "masks"), "boxes or masks"),
    "architecture": (
        lambda v: v is None or v in ARCHITECTURES,
        f"one of {', '.join(ARCHITECTURES)}",
    ),
}


def read_settings(config: FitConfig) -> TorchvisionSettings:
    """Validate a config and return the settings in its extra; ConfigError lists every fault."""
    values, faults = read_extra(config, TorchvisionSettings, _RULES)
    name, task = values.get("architecture"), values.get("task")
    if name in ARCHITECTURES and task in ("boxes", "masks") and task_of(name) != task:
        faults.append(f"extra.task={task} and extra.architecture={name} contradict each other")
    if values.get("pretrained") and config.base is not None:
        faults.append("extra.pretrained and base contradict each other: start from one of them")
    if values.get("pretrained") and name in SMALL:
        faults.append(
            f"extra.pretrained: torchvision publishes no weights of {name}; it does of "
            f"{', '.join(PUBLISHED)}"
        )
    if values.get("pretrained") and name is None and task == "masks":
        faults.append("extra.pretrained: name an extra.architecture with published weights")
    known = name if isinstance(name, str) else _USUAL["masks" if task == "masks" else "boxes"]
    # Without a name the base decides, which is not read here.
    faults += shared_faults(config, regions=two_stages(known) or name is None)
    if faults:
        raise ConfigError(faults)
    return TorchvisionSettings(**values)
