"""Read weight files without a network: safetensors, or torch files that hold only tensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.errors import ModelFileError

_WRAPPED = ("model", "state_dict", "model_state_dict", "ema", "weights")


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; ModelFileError when it contains anything else."""
    with file.open("rb") as opened:
        start = opened.read(9)
    try:
        if start[8:9] == b"{":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(file, f"refused, it contains more than tensors: {error}") from error
    # safetensors' own error is no subclass of a common one.
    except Exception as error:
        raise ModelFileError(file, f"truncated or broken: {error}", "Copy it again") from error
    while isinstance(content, Mapping) and not _tensors(content):
        inner = next((content[key] for key in _WRAPPED if key in content), None)
        if inner is None:
            raise ModelFileError(file, "contains no state dict")
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(file, "contains no state dict")
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    return {key.removeprefix(prefix): value.float() for key, value in content.items()}


def _tensors(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


def fill(file: Path, network: nn.Module, weights: Mapping[str, Tensor], architecture: str) -> bool:
    """Load weights into the network that they are declared to belong to.

    Returns whether their batch normalisation was frozen: then they have no batch counters. Raises
    ModelFileError that names missing tensors and mismatched shapes.
    """
    own = network.state_dict()
    frozen = not any(key.endswith("num_batches_tracked") for key in weights)
    filled = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} if frozen else {}
    try:
        network.load_state_dict({**filled, **weights})
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ModelFileError(
            file, f"not weights of {architecture}: {' '.join(lines)[:300]}", "Name another one"
        ) from error
    return frozen


def rows_of(file: Path, weights: Mapping[str, Tensor], name: str, architecture: str) -> int:
    """Return the number of rows of a head; ModelFileError when there is no such tensor."""
    if name not in weights:
        raise ModelFileError(
            file,
            f"not weights of {architecture}: there is no {name}",
            f"It contains {', '.join(list(weights)[:3])}, …; name their architecture",
        )
    return len(weights[name])
