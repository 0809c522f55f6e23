"""Class weights for a loss over an imbalanced dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def class_weights(counts: Tensor, balance: float) -> Tensor:
    """Return the weight of an object of each class, (C,), 1 on average over the objects.

    counts: (C,) objects per class in the train part. balance: 0 for equal weights, 1 to give every
    class the same total weight; a class without objects has weight 1.
    """
    seen = counts.clamp(1)
    weights = (seen.sum() / seen).pow(balance)
    weights = weights * counts.sum().clamp(1) / (weights * counts).sum().clamp(1)
    return torch.where(counts > 0, weights.clamp(0.2, 5.0), 1.0)
