"""The same heads on pretrained features: Lite0, a feature pyramid, centre points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional

from trainer.backends.centernet.network import CenterNetOutputs
from trainer.backends.features.lite0 import CHANNELS, Lite0

if TYPE_CHECKING:
    from torch import Tensor

_PRIOR = 0.01  # initial probability of a centre in a cell (Lin et al., Focal Loss, 2017)


class FeatureCenterNet(nn.Module):
    """Map images (B, 3, H, W) float, 0..255 RGB, to CenterNetOutputs; sides best multiples of 32.

    width: channels of the pyramid. The embedding is the pooled stride-32 features, (B, 320).
    """

    def __init__(self, classes: int, encoder: Lite0, *, width: int = 48) -> None:
        super().__init__()
        self.encoder = encoder
        self.laterals = nn.ModuleList(nn.Conv2d(c, width, 1) for c in CHANNELS[1:])
        self.mixes = nn.ModuleList(_separable(width, width) for _ in CHANNELS[1:])
        self.heat_trunk = _conv(width, width)
        self.heat = nn.Conv2d(width, classes, 1)
        self.box_trunk = _conv(width, width)
        self.sizes = nn.Conv2d(width, 2, 1)
        self.offsets = nn.Conv2d(width, 2, 1)
        for head in (self.heat, self.sizes, self.offsets):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(_bias(head))
        nn.init.constant_(_bias(self.heat), -math.log((1 - _PRIOR) / _PRIOR))

    def forward(self, images: Tensor) -> CenterNetOutputs:
        """Return the heads' maps and the embedding."""
        features = self.encoder(images)[1:]
        x = self.mixes[-1](self.laterals[-1](features[-1]))
        for level in (2, 1, 0):
            grown = functional.interpolate(x, size=features[level].shape[2:], mode="nearest")
            x = self.mixes[level](self.laterals[level](features[level]) + grown)
        box = self.box_trunk(x)
        embedding = functional.normalize(features[-1].mean(dim=(2, 3)), dim=1)
        return CenterNetOutputs(
            self.heat(self.heat_trunk(x)), self.sizes(box), self.offsets(box), embedding
        )


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _separable(inputs: int, outputs: int) -> nn.Sequential:
    """Return a depthwise separable convolution: a sixth of the cost of a full one."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _bias(layer: nn.Conv2d) -> Tensor:
    if layer.bias is None:
        raise ValueError("a head without bias")
    return layer.bias
