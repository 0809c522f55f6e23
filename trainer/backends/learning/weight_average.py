"""The exponential moving average (EMA) of a network's weights: what is evaluated and served."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of weights; the decay ramps up, so early steps fade quickly."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Update the average with the weights after a step (numbered from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    def copy(self) -> dict[str, Tensor]:
        """Return a copy of the current weights, which later updates do not change."""
        return {name: value.clone() for name, value in self.weights.items()}
