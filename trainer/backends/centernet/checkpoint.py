"""Checkpoints: arrays with a description, never a pickle; and what of one fits new labels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.backends.centernet.network import CenterNet
from trainer.bundle import CARD, read_bundle
from trainer.errors import BundleError, ConfigError
from trainer.labels import LabelMap

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "weights.npz"
_META = "__meta__"
_PER_CLASS = ("heat.weight", "heat.bias")


def save_checkpoint(path: Path, weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write weights and their description; all of it or nothing."""
    arrays: dict[str, NDArray[Any]] = {k: v.detach().cpu().numpy() for k, v in weights.items()}
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
        if bundle.card.engine != "centernet":
            raise BundleError(path, "a bundle of centernet to begin with", bundle.card.engine)
        path = bundle.file(WEIGHTS)
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(bytes(file[_META]).decode())
            weights = {k: torch.from_numpy(file[k].copy()) for k in file.files if k != _META}
    except FileNotFoundError:
        raise ConfigError([f"base weights {path}: there is no such file or folder"]) from None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise BundleError(path, "weights of centernet (.npz)", str(error)) from error
    return weights, meta


def build(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> CenterNet:
    """Return the network of a checkpoint, ready to answer."""
    network = CenterNet(len(meta["labels"]), width=int(meta["width"]))
    network.load_state_dict(dict(weights))
    return network.eval()


def carry_over(network: CenterNet, labels: LabelMap, base: Path) -> list[str]:
    """Load all of base that fits, classes by name; return what did not, a sentence each.

    Raises ConfigError when base is of a network of another width.
    """
    import torch

    weights, meta = read_checkpoint(base)
    width = network.heat.in_channels
    if meta["width"] != width:
        raise ConfigError(
            [f"base weights {base} have width {meta['width']}; set extra.width to it, not {width}"]
        )
    known = LabelMap(tuple(meta["labels"]))
    own = network.state_dict()
    notes: list[str] = []
    rows = {name: (labels.id_of(name), known.id_of(name)) for name in labels if name in known.names}
    fitting: dict[str, torch.Tensor] = {}
    for name, value in own.items():
        found = weights.get(name)
        if name in _PER_CLASS and found is not None and found.shape[1:] == value.shape[1:]:
            merged = value.clone()
            for mine, theirs in rows.values():
                merged[mine] = found[theirs]
            fitting[name] = merged
        elif found is not None and found.shape == value.shape:
            fitting[name] = found
        else:
            had = "nothing" if found is None else tuple(found.shape)
            notes.append(f"{name}: begun anew, base has {had}, this network {tuple(value.shape)}")
    network.load_state_dict({**own, **fitting})
    notes += [f"class {name}: new, begun anew" for name in labels if name not in rows]
    notes += [
        f"class {name}: of base, not among the labels now" for name in known if name not in rows
    ]
    return notes
