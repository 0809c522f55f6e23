"""torchvision's segmentation networks by name, for any set of classes."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torchvision.models import mobilenet_v3_small, segmentation
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.segmentation.deeplabv3 import ASPPPooling
from torchvision.models.segmentation.lraspp import LRASPP

from trainer.backends.learning.starting.carry import HeadRows
from trainer.backends.learning.starting.published import published
from trainer.backends.semantic.settings import ARCHITECTURES
from trainer.errors import ConfigError

# Layers of mobilenet_v3_small that LR-ASPP reads, at strides of 8 and 16, and their channels.
_LOW, _HIGH = (2, 24), (12, 576)
_AUXILIARY = "aux_classifier."  # a second head used only in training


def build(architecture: str, classes: int) -> nn.Module:
    """Return torchvision's network with random weights, for this many classes and background.

    Raises ConfigError for an architecture that is not in settings.ARCHITECTURES.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            [f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}"]
        )
    outputs = classes + 1
    made: nn.Module
    if architecture == "lraspp_mobilenet_v3_small":
        features = mobilenet_v3_small(weights=None, dilated=True).features
        trunk = IntermediateLayerGetter(features, {str(_LOW[0]): "low", str(_HIGH[0]): "high"})
        made = LRASPP(trunk, _LOW[1], _HIGH[1], num_classes=outputs)
        return made
    more = {} if architecture.startswith("lraspp") else {"aux_loss": False}
    made = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=outputs, **more
    )
    return made


def heads_of(network: Any) -> dict[str, HeadRows]:
    """Return the tensors of the network that have rows per class."""
    lraspp = isinstance(network, LRASPP)
    names = ("low_classifier", "high_classifier") if lraspp else ("4",)
    return {
        f"classifier.{name}.{part}": HeadRows(background=1)
        for name in names
        for part in ("weight", "bias")
    }


def prepare_for_batch(network: nn.Module, images: int) -> None:
    """Prepare a network in training mode for a batch of this many images.

    DeepLab normalises one value per image, which is impossible for a single image.
    """
    for module in network.modules():
        if isinstance(module, ASPPPooling):
            for part in module.children():
                part.train(images > 1)


def without_auxiliary_head(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights without the auxiliary head, which is not served."""
    return {name: value for name, value in weights.items() if not name.startswith(_AUXILIARY)}


def published_voc(architecture: str, who: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return torchvision's own weights and their classes; see learning.published."""
    weights, outputs = published(architecture, who)
    return without_auxiliary_head(weights), outputs[1:]


def voc_names() -> tuple[str, ...]:
    """Return the classes of torchvision's own weights, in order, without background."""
    meta = segmentation.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.meta
    return tuple(meta["categories"][1:])
