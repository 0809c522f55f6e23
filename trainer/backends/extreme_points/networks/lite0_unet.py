"""The network that corrects masks: a U-Net on a pretrained EfficientNet-Lite0 encoder.

Only the image passes the encoder's first layers, whose ImageNet weights stay frozen; the clicks and
the previous mask pass a light branch, which joins at a quarter and an eighth of the size. The
joints start at zero, so that the encoder starts with its pretrained behaviour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from trainer.backends.extreme_points.networks.unet import InteractorOutputs, IouHead, UpBlock, conv
from trainer.backends.features.lite0 import Lite0
from trainer.engines.interactor.correcting.evidence import CORRECTING

if TYPE_CHECKING:
    from torch import Tensor

_HALF, _QUARTER, _EIGHTH = 0, 2, 4  # the blocks after which the features have these sizes
_SIXTEENTH, _LAST = 10, 14  # the sixteenth block is omitted: expensive and of no use here
_WIDTHS = (16, 24, 40, 112, 192)  # of the encoder's features there
FROZEN = 4  # parts of the encoder before the clicks join


class Lite0UNet(nn.Module):
    """Map the channels of evidence.correcting_channels, (B, CORRECTING, H, W), to the outputs.

    H and W are multiples of 32. width: channels of the finest level.
    """

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        w = width
        self.width = width
        self.encoder = Lite0(frozen=FROZEN)
        del self.encoder.blocks[_LAST + 1 :]
        self.hints = nn.ModuleList(
            [conv(4 * CORRECTING, w), conv(w, 2 * w, 2), conv(2 * w, 3 * w, 2)]
        )
        self.joints = nn.ModuleList(
            [nn.Conv2d(2 * w, _WIDTHS[1], 1), nn.Conv2d(3 * w, _WIDTHS[2], 1)]
        )
        for joint in self.joints:
            nn.init.zeros_(joint.weight)  # type: ignore[arg-type]
            nn.init.zeros_(joint.bias)  # type: ignore[arg-type]
        wide = (w, 2 * w, 3 * w, 5 * w, 6 * w)
        given = (_WIDTHS[0] + w, _WIDTHS[1] + 2 * w, _WIDTHS[2] + 3 * w, *_WIDTHS[3:])
        self.side = nn.ModuleList(
            nn.Sequential(nn.Conv2d(n, m, 1, bias=False), nn.BatchNorm2d(m), nn.ReLU(inplace=True))
            for n, m in zip(given, wide, strict=True)
        )
        self.context = nn.Conv2d(wide[4], wide[4], 1)
        self.ups = nn.ModuleList(UpBlock(wide[n + 1], wide[n]) for n in (3, 2, 1, 0))
        self.mask = nn.Conv2d(w, 4, 3, padding=1)
        self.iou_head = IouHead(wide[4] + 2 * wide[0])

    def forward(self, seen: Tensor) -> InteractorOutputs:
        """Return the mask's logits and the estimated IoU."""
        half = self.hints[0](functional.pixel_unshuffle(seen, 2))
        quarter = self.hints[1](half)
        eighth = self.hints[2](quarter)
        levels = self._encoded(seen[:, :3] * 64.0 + 115.0, quarter, eighth)
        joined = [
            torch.cat([levels[0], half], dim=1),
            torch.cat([levels[1], quarter], dim=1),
            torch.cat([levels[2], eighth], dim=1),
            *levels[3:],
        ]
        *finer, x = [side(level) for side, level in zip(self.side, joined, strict=True)]
        x = coarse = x + functional.relu(self.context(x.mean(dim=(2, 3), keepdim=True)))
        for up, level in zip(self.ups, reversed(finer), strict=True):
            x = up(x, level)
        logits = functional.pixel_shuffle(self.mask(x), 2)
        return InteractorOutputs(logits, self.iou_head(logits, x, coarse))

    def _encoded(self, images: Tensor, quarter: Tensor, eighth: Tensor) -> list[Tensor]:
        """Return the features at five sizes, with the clicks' branch joined in."""
        x = self.encoder.stem((images - 127.5) / 127.5)
        levels = []
        for place, block in enumerate(self.encoder.blocks):
            x = block(x)
            if place == _QUARTER:
                x = x + self.joints[0](quarter)
            elif place == _EIGHTH:
                x = x + self.joints[1](eighth)
            if place in (_HALF, _QUARTER, _EIGHTH, _SIXTEENTH, _LAST):
                levels.append(x)
        return levels
