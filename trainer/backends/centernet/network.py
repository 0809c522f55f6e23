"""The network: a small residual trunk, a feature pyramid, and three heads at stride 4.

Objects are centre points (Zhou et al., Objects as Points, 2019): a heat map per class, and at each
centre the object's size and the offset of its true centre from the cell.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from trainer.backends.centernet.settings import DEEP

if TYPE_CHECKING:
    from torch import Tensor

STRIDE = 4  # input pixels per output cell
UNIT = 16.0  # pixels; sizes are predicted as log(size / UNIT)
_PRIOR = 0.01  # initial probability of a centre in a cell (Lin et al., Focal Loss, 2017)


class CenterNetOutputs(NamedTuple):
    """The network's output for a batch, on a grid of height/4 x width/4 cells.

    heat: (B, C, h, w) logits. sizes: (B, 2, h, w) log(width / UNIT), log(height / UNIT). offsets:
    (B, 2, h, w) x, y of the centre from the middle of the cell, in cells. embedding: (B, deep) of
    the whole image, unit length.
    """

    heat: Tensor
    sizes: Tensor
    offsets: Tensor
    embedding: Tensor


class CenterNet(nn.Module):
    """Map images (B, 3, H, W) float, 0..255 RGB, of any size, to CenterNetOutputs."""

    def __init__(self, classes: int, *, width: int = 32, deep: int = DEEP) -> None:
        super().__init__()
        w = width
        # Most of the computation happens at stride 8 and coarser, where a CPU can afford it.
        self.stem = nn.Sequential(_conv(3, w // 2, 2), _conv(w // 2, w, 2))
        self.down8 = nn.Sequential(_conv(w, 2 * w, 2), _Block(2 * w))
        self.down16 = nn.Sequential(_conv(2 * w, deep, 2), _Block(deep), _Block(deep))
        self.down32 = nn.Sequential(_conv(deep, deep, 2), _Block(deep))
        self.lateral4 = nn.Conv2d(w, w, 1)
        self.lateral8 = nn.Conv2d(2 * w, w, 1)
        self.lateral16 = nn.Conv2d(deep, w, 1)
        self.lateral32 = nn.Conv2d(deep, w, 1)
        self.mix8 = _conv(w, w)
        self.mix4 = _conv(w, w)
        self.heat_trunk = _conv(w, w)
        self.heat = nn.Conv2d(w, classes, 1)
        self.box_trunk = _conv(w, w)
        self.sizes = nn.Conv2d(w, 2, 1)
        self.offsets = nn.Conv2d(w, 2, 1)
        nn.init.constant_(_bias(self.heat), -math.log((1 - _PRIOR) / _PRIOR))
        for head in (self.heat, self.sizes, self.offsets):
            nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(_bias(self.sizes))
        nn.init.zeros_(_bias(self.offsets))

    def forward(self, images: Tensor) -> CenterNetOutputs:
        """Return the heads' maps and the embedding."""
        x = (images - 118.0) / 60.0
        c4 = self.stem(x)
        c8 = self.down8(c4)
        c16 = self.down16(c8)
        c32 = self.down32(c16)
        p16 = self.lateral16(c16) + _grow(self.lateral32(c32), c16)
        p8 = self.mix8(self.lateral8(c8) + _grow(p16, c8))
        p4 = self.mix4(self.lateral4(c4) + _grow(p8, c4))
        box = self.box_trunk(p4)
        embedding = functional.normalize(c32.mean(dim=(2, 3)), dim=1)
        return CenterNetOutputs(
            self.heat(self.heat_trunk(p4)), self.sizes(box), self.offsets(box), embedding
        )


class _Block(nn.Module):
    """A residual block of two convolutions (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.relu(x + self.norm(self.second(self.first(x))))
        return out


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _grow(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, size=like.shape[2:], mode="nearest")


def _bias(layer: nn.Conv2d) -> Tensor:
    if layer.bias is None:
        raise ValueError("a head without bias")
    return layer.bias


def decode_boxes(sizes: Tensor, offsets: Tensor) -> Tensor:
    """Return the box that each cell predicts, (B, 4, h, w), x1 y1 x2 y2 in input pixels."""
    height, width = sizes.shape[2:]
    x = (torch.arange(width, device=sizes.device) + 0.5)[None, None, :] + offsets[:, 0]
    y = (torch.arange(height, device=sizes.device) + 0.5)[None, :, None] + offsets[:, 1]
    half = UNIT * torch.exp(sizes.clamp(-5, 5)) / 2
    cx, cy, w, h = x * STRIDE, y * STRIDE, half[:, 0], half[:, 1]
    return torch.stack([cx - w, cy - h, cx + w, cy + h], dim=1)
