"""The running average of a network's weights: what is kept, evaluated and served."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential average of weights; its decay rises at the start, so early steps fade soon."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the weights after the step of this number (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    def copy(self) -> dict[str, Tensor]:
        """Return the weights as they are now, which later updates leave alone."""
        return {name: value.clone() for name, value in self.weights.items()}
