"""Checkpoints: arrays with a description, never a pickle; or the weights inside a bundle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import CARD, read_bundle
from trainer.data.files import parse_json
from trainer.errors import BundleError, ConfigError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.npz"
_META = "__meta__"


def save_weights(
    path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write weights and their description (JSON values) atomically.

    half: store 32-bit numbers in 16 bits.
    """
    arrays: dict[str, NDArray[Any]] = {}
    for name, value in weights.items():
        array = value.detach().cpu().numpy()
        arrays[name] = array.astype(np.float16) if half and array.dtype == np.float32 else array
    arrays[_META] = np.frombuffer(json.dumps(dict(meta)).encode(), np.uint8)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
    part.replace(path)


def read_weights(
    path: Path, *, engines: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what save_weights wrote, or the weights inside a bundle of one of these engines.

    Raises ConfigError when there is no such file, BundleError when it is something else.
    """
    import torch

    path = weights_file(path, engines=engines)
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = parse_json(bytes(file[_META]).decode())
            weights = {k: torch.from_numpy(file[k].copy()) for k in file.files if k != _META}
    except FileNotFoundError:
        raise ConfigError([f"base weights {path}: there is no such file or folder"]) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(path, f"weights of {engines[0]} (.npz)", str(error)) from error
    return weights, meta


def weights_file(path: Path, *, engines: tuple[str, ...]) -> Path:
    """Return the file of weights inside a bundle of one of these engines; any other path as it is.

    Raises BundleError for a bundle of another engine, or one without weights to train from.
    """
    if not (path.is_dir() and (path / CARD).exists()):
        return path
    bundle = read_bundle(path)
    if bundle.card.engine not in engines:
        expected = f"a bundle of {' or '.join(engines)} to start from"
        raise BundleError(path, expected, bundle.card.engine)
    return bundle.file(WEIGHTS)


def known_fields(meta: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a bundle's card that a checkpoint determines; `card` overrides them."""
    settings = meta.get("settings", {})
    base = settings.get("base")
    known = {
        "name": meta["architecture"],
        "labels": meta["labels"],
        "dataset": meta.get("fingerprint", ""),
        "base": Path(base).name if base else "",
        "settings": settings,
    }
    notes = {"notes": meta.get("notes", []), "steps": meta.get("step", 0)}
    return {**known, **card, "extra": {**notes, **card.get("extra", {})}}
