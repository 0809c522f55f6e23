"""Which network: the small one from scratch, or a decoder on a backbone of torchvision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainer.backends.extreme_points.backbone import BackboneUNet
from trainer.backends.extreme_points.network import UNet

if TYPE_CHECKING:
    from torch import Tensor

Network = UNet | BackboneUNet


def new_network(backbone: str, *, width: int, pretrained: bool = False) -> Network:
    """Return a network of random weights, its backbone's published ones where pretrained."""
    if not backbone:
        return UNet(width=width)
    return BackboneUNet(backbone, width=width, pretrained=pretrained)


def build(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Network:
    """Return the network of a checkpoint, ready to answer."""
    network = new_network(str(meta["backbone"]), width=int(meta["width"]))
    network.load_state_dict(dict(weights))
    network.eval()
    return network
