"""A small U-Net that works at half of the input size and estimates the IoU of its mask.

The input's pixels are folded into channels (a block of 2 x 2 per cell) and the output is unfolded
likewise, so nothing is computed at full size and a CPU takes milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from trainer.engines.interactor.clicks import CHANNELS

if TYPE_CHECKING:
    from torch import Tensor


class InteractorOutputs(NamedTuple):
    """logits: (B, 1, H, W) of the mask. quality: (B,) logits of the mask's estimated IoU."""

    logits: Tensor
    quality: Tensor


class UNet(nn.Module):
    """Map the channels of clicks.channels, (B, CHANNELS, H, W), to InteractorOutputs."""

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        w = width
        self.width = width
        self.stem = nn.Sequential(conv(4 * CHANNELS, w), conv(w, w))
        self.down4 = nn.Sequential(conv(w, 2 * w, 2), _Block(2 * w))
        self.down8 = nn.Sequential(conv(2 * w, 4 * w, 2), _Block(4 * w), _Block(4 * w))
        self.down16 = nn.Sequential(conv(4 * w, 6 * w, 2), _Block(6 * w), _Block(6 * w))
        self.context = nn.Conv2d(6 * w, 6 * w, 1)
        self.up8 = UpBlock(6 * w, 4 * w)
        self.up4 = UpBlock(4 * w, 2 * w)
        self.up2 = UpBlock(2 * w, w)
        self.mask = nn.Conv2d(w, 4, 3, padding=1)
        self.iou_head = IouHead(8 * w)

    def forward(self, seen: Tensor) -> InteractorOutputs:
        """Return the mask's logits and the estimated IoU."""
        c2 = self.stem(functional.pixel_unshuffle(seen, 2))
        c4 = self.down4(c2)
        c8 = self.down8(c4)
        c16 = self.down16(c8)
        c16 = c16 + functional.relu(self.context(c16.mean(dim=(2, 3), keepdim=True)))
        p8 = self.up8(c16, c8)
        p4 = self.up4(p8, c4)
        p2 = self.up2(p4, c2)
        logits = functional.pixel_shuffle(self.mask(p2), 2)
        return InteractorOutputs(logits, self.iou_head(logits, p2, c16))


class IouHead(nn.Module):
    """Estimate a mask's IoU from its features, through which no gradient flows back."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features + 2, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, logits: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """Return the logit of each mask's IoU, (B,). fine: at half of the input's size."""
        share = torch.sigmoid(logits.detach())
        weight = functional.avg_pool2d(share, 2)
        area = weight.mean(dim=(1, 2, 3)).clamp(min=1e-4)
        within = (fine.detach() * weight).mean(dim=(2, 3)) / area[:, None]
        doubt = (share * (1 - share)).mean(dim=(1, 2, 3)) / area
        facts = [coarse.detach().mean(dim=(2, 3)), within, fine.detach().mean(dim=(2, 3))]
        estimate: Tensor = self.layers(torch.cat([*facts, area[:, None], doubt[:, None]], dim=1))
        return estimate[:, 0]


class _Block(nn.Module):
    """A residual block of two convolutions (He et al., 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv(width, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = functional.relu(x + self.norm(self.second(self.first(x))))
        return out


class UpBlock(nn.Module):
    """Upsample the coarser level and merge it with the finer one."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(coarse, fine, 1, bias=False)
        self.mix = conv(2 * fine, fine)
        self.block = _Block(fine)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return maps of the finer level's size."""
        grown = functional.interpolate(self.narrow(coarse), scale_factor=2.0, mode="nearest")
        out: Tensor = self.block(self.mix(torch.cat([grown, fine], dim=1)))
        return out


def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Return a 3 x 3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
