"""How much a class weighs in a loss, where some have many examples and others few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def class_weights(counts: Tensor, balance: float) -> Tensor:
    """Return what an object of each class weighs, (C,), 1 on average over the objects.

    counts: (C,) objects a class in the train part. balance: 0 for all alike, 1 for every class
    as much as any other; a class without objects weighs 1.
    """
    seen = counts.clamp(1)
    weights = (seen.sum() / seen).pow(balance)
    weights = weights * counts.sum().clamp(1) / (weights * counts).sum().clamp(1)
    return torch.where(counts > 0, weights.clamp(0.2, 5.0), 1.0)
