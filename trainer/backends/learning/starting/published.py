"""Weights that torchvision publishes, by the name of their network."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from trainer.data.files import file_sha256
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
    return fetch_weights(choice.url, who), tuple(choice.meta["categories"])


def fetch_weights(url: str, who: str) -> dict[str, Tensor]:
    """Return the weights at an address whose file is called <name>-<digits of its sha256>.pth.

    They are taken from torch's cache (TORCH_HOME), or fetched into it. Raises TrainingError when
    they cannot be had, and for a file whose sha256 begins otherwise.
    """
    name = Path(url).name
    digest = _HASH.search(name)
    if digest is None:
        raise TrainingError(who, f"{name}: its name says no sha256 to hold it against")
    return read_published(fetch_file(url, name, digest[1], who), digest[1], who)


def fetch_file(url: str, name: str, sha256: str, who: str) -> Path:
    """Return the file `name` in torch's cache, fetched from an address when it is not there.

    sha256: at least its first digits; what is fetched is held against them, what is there is not.
    Raises TrainingError when it cannot be had.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            who,
            f"the published weights {path.name} cannot be had: {error}. Put the file into "
            f"{path.parent}, or set extra.pretrained to false",
        ) from error
    return path


def read_published(path: Path, sha256: str, who: str) -> dict[str, Any]:
    """Read weights whose sha256 begins with these digits; TrainingError for others."""
    found = file_sha256(path)
    if not found.startswith(sha256):
        raise TrainingError(
            who,
            f"{path}: expected a sha256 that begins {sha256}, found {found}; remove the file to "
            "have it fetched again",
        )
    # Some files keep the settings of their fit beside the weights: a record of plain values.
    with torch.serialization.safe_globals([argparse.Namespace]):
        weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
