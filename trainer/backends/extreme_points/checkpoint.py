"""Checkpoints: arrays with a description, never a pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import CARD, read_bundle
from trainer.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.npz"
_META = "__meta__"


def save_checkpoint(
    path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write weights and their description; all of it or nothing. half: in 16 bits."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        array = value.detach().cpu().numpy()
        arrays[name] = array.astype(np.float16) if half and array.dtype == np.float32 else array
    arrays[_META] = np.frombuffer(json.dumps(dict(meta)).encode(), np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what save_checkpoint wrote, or the weights inside a bundle folder."""
    import torch

    if path.is_dir() and (path / CARD).exists():
        bundle = read_bundle(path)
        if bundle.card.engine != "extreme_points":
            raise BundleError(path, "a bundle of extreme_points to begin with", bundle.card.engine)
        path = bundle.file(WEIGHTS)
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(bytes(file[_META]).decode())
            weights = {k: torch.from_numpy(file[k].copy()) for k in file.files if k != _META}
    except FileNotFoundError:
        raise ConfigError([f"base weights {path}: there is no such file or folder"]) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(path, "weights of extreme_points (.npz)", str(error)) from error
    whole = {k: v.float() if v.dtype == torch.float16 else v for k, v in weights.items()}
    return whole, meta
