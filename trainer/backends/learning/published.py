"""Weights that torchvision publishes, by the name of their network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from trainer.bundle import file_sha256
from trainer.errors import ConfigError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

_HASH = re.compile(r"-([0-9a-f]{8,64})\.pth")


def published(architecture: str, who: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return torchvision's weights of a network and the names of its outputs, background included.

    Raises ConfigError for a network that has none, TrainingError as fetched does.
    """
    from torchvision.models import get_model_weights

    try:
        choice = get_model_weights(architecture).DEFAULT
    except ValueError:
        raise ConfigError([f"torchvision publishes no weights of {architecture}"]) from None
    return fetched(choice.url, who), tuple(choice.meta["categories"])


def fetched(url: str, who: str) -> dict[str, Tensor]:
    """Return the weights at an address whose file is called <name>-<digits of its sha256>.pth.

    They are taken from torch's cache (TORCH_HOME), or fetched into it. Raises TrainingError when
    they cannot be had, and for a file whose sha256 begins otherwise.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    wanted = _HASH.search(path.name)
    if wanted is None:
        raise TrainingError(who, f"{path.name}: its name says no sha256 to hold it against")
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), wanted[1], progress=False)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            who,
            f"the published weights {path.name} cannot be had: {error}. Put the file into "
            f"{path.parent}, or set extra.pretrained to false",
        ) from error
    return read_published(path, wanted[1], who)


def read_published(path: Path, sha256: str, who: str) -> dict[str, Tensor]:
    """Read weights whose sha256 begins with these digits; TrainingError for others."""
    found = file_sha256(path)
    if not found.startswith(sha256):
        raise TrainingError(
            who,
            f"{path}: expected a sha256 that begins {sha256}, found {found}; remove the file to "
            "have it fetched again",
        )
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
