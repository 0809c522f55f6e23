"""Weights by themselves as people bring them: safetensors, or torch's own file of tensors alone."""

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
    """Return the tensors of a file by name; ModelFileError when it holds anything else."""
    with file.open("rb") as opened:
        start = opened.read(9)
    try:
        if start[8:9] == b"{":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelFileError(file, f"refused: more than tensors: {error}") from error
    # safetensors' own error is no subclass of a common one.
    except Exception as error:
        raise ModelFileError(file, f"truncated or broken: {error}", "Copy it again") from error
    while isinstance(content, Mapping) and not _tensors(content):
        inner = next((content[key] for key in _WRAPPED if key in content), None)
        if inner is None:
            raise ModelFileError(file, "holds no state dict")
        content = inner
    if not isinstance(content, Mapping) or not content:
        raise ModelFileError(file, "holds no state dict")
    prefix = "module." if all(key.startswith("module.") for key in content) else ""
    return {key.removeprefix(prefix): value.float() for key, value in content.items()}


def _tensors(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(isinstance(value, Tensor) for value in content.values())


def fill(file: Path, network: nn.Module, weights: Mapping[str, Tensor], architecture: str) -> bool:
    """Load weights into the network that they are said to be of.

    Returns whether their normalisation was frozen: then they keep no count of batches. Raises
    ModelFileError naming what is missing or of another shape.
    """
    own = network.state_dict()
    frozen = not any(key.endswith("num_batches_tracked") for key in weights)
    filled = {k: v for k, v in own.items() if k.endswith("num_batches_tracked")} if frozen else {}
    try:
        network.load_state_dict({**filled, **weights})
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise ModelFileError(
            file, f"no weights of {architecture}: {' '.join(lines)[:300]}", "Name another one"
        ) from error
    return frozen


def rows_of(file: Path, weights: Mapping[str, Tensor], name: str, architecture: str) -> int:
    """Return the rows of a head, which tell the classes; ModelFileError when it is not there."""
    if name not in weights:
        raise ModelFileError(
            file,
            f"no weights of {architecture}: there is no {name}",
            f"It holds {', '.join(list(weights)[:3])}, …; name the architecture they are of",
        )
    return len(weights[name])
