"""Checkpoints of these networks; the weights in their bundles are stored in 16 bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainer.backends.learning.starting.weights import read_weights
from trainer.renamed import current_parameters

if TYPE_CHECKING:
    from torch import Tensor


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a checkpoint, or the weights inside a bundle folder, in 32 bits."""
    import torch

    weights, meta = read_weights(path, engines=("extreme_points",))
    whole = {k: v.float() if v.dtype == torch.float16 else v for k, v in weights.items()}
    return current_parameters(whole), meta
