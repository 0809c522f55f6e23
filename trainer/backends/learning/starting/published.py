"""Weights that torchvision publishes, by the name of the network."""

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
    """Return torchvision's weights of a network and its class names, background included.

    Raises ConfigError for a network without published weights, TrainingError like fetch_weights.
    """
    from torchvision.models import get_model_weights

    try:
        choice = get_model_weights(architecture).DEFAULT
    except ValueError:
        raise ConfigError([f"torchvision publishes no weights of {architecture}"]) from None
    return fetch_weights(choice.url, who), tuple(choice.meta["categories"])


def fetch_weights(url: str, who: str) -> dict[str, Tensor]:
    """Return the weights at a URL whose file is called <name>-<digits of its sha256>.pth.

    They are read from torch's cache (TORCH_HOME), or downloaded into it. Raises TrainingError when
    they cannot be downloaded, and for a file with another sha256.
    """
    name = Path(url).name
    digest = _HASH.search(name)
    if digest is None:
        raise TrainingError(who, f"{name}: its name contains no sha256 to verify it by")
    return read_published(fetch_file(url, name, digest[1], who), digest[1], who)


def fetch_file(url: str, name: str, sha256: str, who: str) -> Path:
    """Return the file `name` in torch's cache, downloaded from a URL when it is not there.

    sha256: at least its first digits; a download is verified against them, a cached file is not.
    Raises TrainingError when the download fails.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), sha256, progress=False)
    except (OSError, RuntimeError) as error:
        raise TrainingError(
            who,
            f"the published weights {path.name} cannot be downloaded: {error}. Put the file into "
            f"{path.parent}, or set extra.pretrained to false",
        ) from error
    return path


def read_published(path: Path, sha256: str, who: str) -> dict[str, Any]:
    """Read weights whose sha256 starts with these digits; TrainingError for others."""
    found = file_sha256(path)
    if not found.startswith(sha256):
        raise TrainingError(
            who,
            f"{path}: expected a sha256 that starts with {sha256}, found {found}; remove the file "
            "to have it downloaded again",
        )
    # Some files store the settings of their training next to the weights as plain values.
    with torch.serialization.safe_globals([argparse.Namespace]):
        weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
