"""Choose the network: a small one from scratch, or a decoder on a pretrained encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trainer.backends.extreme_points.networks.backbone import BackboneUNet
from trainer.backends.extreme_points.networks.lite0_unet import FROZEN, Lite0UNet
from trainer.backends.extreme_points.networks.unet import UNet
from trainer.backends.features.package import SHIPPED
from trainer.backends.features.pretrained import lite0
from trainer.engines.interactor.clicks import CHANNELS
from trainer.engines.interactor.correcting.evidence import CORRECTING

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = UNet | BackboneUNet | Lite0UNet


def new_network(backbone: str, *, width: int, pretrained: bool = False) -> Network:
    """Return a network with random weights; pretrained: with its backbone's published weights."""
    if not backbone:
        return UNet(width=width)
    if backbone == SHIPPED:
        network = Lite0UNet(width=width)
        if pretrained:
            known = lite0(frozen=FROZEN).state_dict()
            network.encoder.load_state_dict({k: known[k] for k in network.encoder.state_dict()})
        return network
    return BackboneUNet(backbone, width=width, pretrained=pretrained)


def build(weights: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Network:
    """Return the network of a checkpoint, in evaluation mode."""
    network = new_network(str(meta["backbone"]), width=int(meta["width"]))
    network.load_state_dict(dict(weights))
    network.eval()
    return network


def channels_of(network: nn.Module) -> int:
    """Return a network's input channels: CORRECTING if the previous mask is among them."""
    return CORRECTING if isinstance(network, Lite0UNet) else CHANNELS
