"""Checkpoints of these networks, and their transfer to new labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from trainer.backends.centernet.feature_network import FeatureCenterNet
from trainer.backends.centernet.network import CenterNet
from trainer.backends.centernet.settings import DEEP, CenterNetSettings
from trainer.backends.features.lite0 import Lite0
from trainer.backends.features.package import SCRATCH
from trainer.backends.features.pretrained import lite0
from trainer.backends.learning.starting.carry import HeadRows, carry_weights
from trainer.backends.learning.starting.weights import read_weights, weights_file
from trainer.data.labels import LabelMap
from trainer.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

ENGINES = ("centernet",)
_HEADS = {"heat.weight": HeadRows(), "heat.bias": HeadRows()}


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint, or the weights inside a bundle folder."""
    return read_weights(path, engines=ENGINES)


def checkpoint_file(path: Path) -> Path:
    """Return the file that read_checkpoint reads."""
    return weights_file(path, engines=ENGINES)


def new_network(classes: int, settings: CenterNetSettings) -> nn.Module:
    """Return the initial network: on pretrained features, or with random weights."""
    if settings.backbone == SCRATCH:
        return CenterNet(classes, width=settings.width, deep=settings.deep)
    encoder = lite0(settings.backbone, frozen=settings.frozen)
    return FeatureCenterNet(classes, encoder, width=settings.width)


def description(settings: CenterNetSettings) -> dict[str, Any]:
    """Return what build needs to know about a network, besides its labels."""
    if settings.backbone == SCRATCH:
        return {"width": settings.width, "deep": settings.deep}
    return {"width": settings.width, "encoder": "lite0"}


def build(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> nn.Module:
    """Return the network of a checkpoint, in evaluation mode."""
    classes, width = len(meta["labels"]), int(meta["width"])
    # Checkpoints older than the pretrained features name no encoder.
    network: nn.Module = (
        FeatureCenterNet(classes, Lite0(), width=width)
        if meta.get("encoder")
        else CenterNet(classes, width=width, deep=int(meta.get("deep", DEEP)))
    )
    network.load_state_dict(dict(weights))
    return network.eval()


def carry_over(
    network: nn.Module, labels: LabelMap, base: Path, settings: CenterNetSettings
) -> list[str]:
    """Load all of base that fits, classes by name; return a sentence for each part that does not.

    Raises ConfigError when base is for another network: other features, width or deep.
    """
    weights, meta = read_checkpoint(base)
    mine = description(settings)
    theirs = {"encoder": None, "deep": DEEP, **meta}
    if theirs["encoder"] != mine.get("encoder"):
        needed = SCRATCH if theirs["encoder"] is None else theirs["encoder"]
        raise ConfigError(
            [
                (
                    f"base weights {base} are for a network with backbone {needed}, this fit has "
                    f"{settings.backbone}; set extra.backbone to {needed!r} to start from them, or "
                    "leave base out to start from the pretrained features"
                )
            ]
        )
    faults = [
        f"base weights {base} have {name} {theirs[name]}; set extra.{name} to it, not {value}"
        for name, value in mine.items()
        if theirs[name] != value
    ]
    if faults:
        raise ConfigError(faults)
    known = LabelMap(tuple(meta["labels"]))
    fitting, notes = carry_weights(
        network.state_dict(), weights, labels=labels, known=known, heads=_HEADS
    )
    network.load_state_dict(fitting)
    return notes
