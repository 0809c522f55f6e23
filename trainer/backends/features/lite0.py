"""EfficientNet-Lite0 without its classifier: features at five strides.

Tan and Le, EfficientNet (2019), in the "Lite" form: ReLU6, no squeeze-and-excitation. Batch
normalisation is folded into the convolutions, which is exact for fixed statistics and saves a fifth
of the training time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

STRIDES = (2, 4, 8, 16, 32)
CHANNELS = (16, 24, 40, 112, 320)  # of the features at those strides
_EPSILON = 1e-3  # of the published batch normalisation

# (kernel, stride, expansion, channels) of the sixteen blocks.
_BLOCKS = (
    (3, 1, 1, 16),
    *((3, 2, 6, 24), (3, 1, 6, 24)),
    *((5, 2, 6, 40), (5, 1, 6, 40)),
    *((3, 2, 6, 80), (3, 1, 6, 80), (3, 1, 6, 80)),
    *((5, 1, 6, 112), (5, 1, 6, 112), (5, 1, 6, 112)),
    *((5, 2, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192), (5, 1, 6, 192)),
    (3, 1, 6, 320),
)
_LAST_OF_STRIDE = (0, 2, 4, 10, 15)  # the blocks whose outputs are CHANNELS


class Lite0(nn.Module):
    """Map images (B, 3, H, W) float, 0..255 RGB, H and W multiples of 32, to features.

    Returns one tensor for each of STRIDES: (B, CHANNELS[i], H / STRIDES[i], W / STRIDES[i]).
    frozen: how many of its seventeen parts (the stem, then the blocks) are frozen.
    """

    def __init__(self, *, frozen: int = 3) -> None:
        super().__init__()
        self.stem = _Convolution(3, 32, 3, 2, activate=True)
        blocks: list[nn.Module] = []
        inputs = 32
        for kernel, stride, expansion, channels in _BLOCKS:
            blocks.append(_Block(inputs, channels, kernel, stride, expansion))
            inputs = channels
        self.blocks = nn.ModuleList(blocks)
        self.frozen = frozen
        self.freeze(frozen)

    def freeze(self, parts: int) -> None:
        """Freeze the first `parts` parts and unfreeze all others."""
        self.frozen = parts
        for place, part in enumerate((self.stem, *self.blocks)):
            part.requires_grad_(place >= parts)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the features at STRIDES."""
        x = self.stem((images - 127.5) / 127.5)
        found = []
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place in _LAST_OF_STRIDE:
                found.append(x)
        return tuple(found)

    def parts(self) -> Sequence[nn.Module]:
        """Return the parts in order, for layer-wise learning rates."""
        return (self.stem, *self.blocks)


class _Convolution(nn.Module):
    """A convolution with TensorFlow's SAME padding for inputs of even size, and ReLU6."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        *,
        groups: int = 1,
        activate: bool,
    ) -> None:
        super().__init__()
        even = kernel // 2
        # With stride 2 the extra pixel of padding is on the right and at the bottom.
        self.uneven = (even - 1, even, even - 1, even) if stride == 2 else None
        self.conv = nn.Conv2d(
            inputs, outputs, kernel, stride, 0 if self.uneven else even, groups=groups
        )
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        if self.uneven is not None:
            x = functional.pad(x, self.uneven)
        out: Tensor = self.conv(x)
        return functional.relu6(out, inplace=True) if self.activate else out


class _Block(nn.Module):
    """An inverted residual block (Sandler et al., MobileNetV2, 2018)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expand = (
            _Convolution(inputs, inner, 1, activate=True) if expansion > 1 else nn.Identity()
        )
        self.depthwise = _Convolution(inner, inner, kernel, stride, groups=inner, activate=True)
        self.project = _Convolution(inner, outputs, 1, activate=False)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + out if self.residual else out


def folded(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return Lite0's state from published weights, with batch normalisation folded in.

    published: the state dict of efficientnet-lite0 (names _conv_stem, _blocks.N._expand_conv, …);
    its head and classifier are omitted. Raises KeyError for the state of another network.
    """
    pairs = {"stem.conv": ("_conv_stem", "_bn0")}
    for place, (_, _, expansion, _) in enumerate(_BLOCKS):
        own, theirs = f"blocks.{place}", f"_blocks.{place}"
        if expansion > 1:
            pairs[f"{own}.expand.conv"] = (f"{theirs}._expand_conv", f"{theirs}._bn0")
        pairs[f"{own}.depthwise.conv"] = (f"{theirs}._depthwise_conv", f"{theirs}._bn1")
        pairs[f"{own}.project.conv"] = (f"{theirs}._project_conv", f"{theirs}._bn2")
    state = {}
    for own, (conv, norm) in pairs.items():
        deviation = torch.sqrt(published[f"{norm}.running_var"].double() + _EPSILON)
        scale = published[f"{norm}.weight"].double() / deviation
        weight = published[f"{conv}.weight"].double() * scale[:, None, None, None]
        bias = published[f"{norm}.bias"].double() - published[f"{norm}.running_mean"] * scale
        state[f"{own}.weight"], state[f"{own}.bias"] = weight.float(), bias.float()
    return state
