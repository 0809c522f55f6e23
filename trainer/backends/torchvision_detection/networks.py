"""torchvision's detectors by name, for any classes and any size of input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import nn
from torchvision.models import detection
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from trainer.backends.learning.carry import Rows
from trainer.backends.torchvision_detection.settings import ARCHITECTURES
from trainer.errors import ConfigError

_SMALL = re.compile(r"(\w+?)_(resnet18|resnet34)_fpn")
_FAMILIES: dict[str, Any] = {
    "fasterrcnn": detection.FasterRCNN,
    "maskrcnn": detection.MaskRCNN,
    "retinanet": detection.RetinaNet,
    "fcos": detection.FCOS,
}


def build(
    architecture: str,
    classes: Sequence[str],
    *,
    image_size: tuple[int, int] = (800, 1088),
    regions: int | None = None,
) -> nn.Module:
    """Return torchvision's network with random weights, whose parameters have torchvision's names.

    classes: names in order; networks of two stages (R-CNN) have one output more, the background,
    which comes first. image_size: (height, width) of what it will be given, so that nothing is
    scaled a second time. regions: of an image that its second stage learns from. Raises
    ConfigError for an architecture that is not in settings.ARCHITECTURES.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            [f"no architecture {architecture!r}; there are {', '.join(ARCHITECTURES)}"]
        )
    count = len(classes) + int(two_stages(architecture))
    options: dict[str, Any] = {"min_size": min(image_size), "max_size": max(image_size)}
    if regions is not None and two_stages(architecture):
        options["box_batch_size_per_image"] = regions
    small = _SMALL.fullmatch(architecture)
    if small is None:
        made: nn.Module = getattr(detection, architecture)(
            weights=None, weights_backbone=None, num_classes=count, **options
        )
        return made
    backbone = resnet_fpn_backbone(
        backbone_name=small[2],
        weights=None,
        trainable_layers=5,
        norm_layer=nn.BatchNorm2d,
        **({} if two_stages(architecture) else {"returned_layers": [2, 3, 4]}),
    )
    if not two_stages(architecture):
        options |= _dense_anchors(small[1])
    other: nn.Module = _FAMILIES[small[1]](backbone, num_classes=count, **options)
    return other


def two_stages(architecture: str) -> bool:
    """Return whether it proposes regions first, so that a background class is among its outputs."""
    return "rcnn" in architecture


def heads_of(network: Any) -> dict[str, Rows]:
    """Return the tensors of the network that have rows for classes."""
    if hasattr(network, "roi_heads"):
        names = {
            "roi_heads.box_predictor.cls_score": Rows(background=1),
            "roi_heads.box_predictor.bbox_pred": Rows(background=1, inner=4),
            "roi_heads.mask_predictor.mask_fcn_logits": Rows(background=1),
        }
    else:
        anchors = int(network.anchor_generator.num_anchors_per_location()[0])
        names = {"head.classification_head.cls_logits": Rows(outer=anchors)}
    return {f"{name}.{part}": rows for name, rows in names.items() for part in ("weight", "bias")}


def _dense_anchors(family: str) -> dict[str, Any]:
    """Return anchors for the four levels of a small pyramid, from a stride of 8 on."""
    from torchvision.models.detection.anchor_utils import AnchorGenerator

    if family == "fcos":
        return {"anchor_generator": AnchorGenerator(((8,), (16,), (32,), (64,)), ((1.0,),) * 4)}
    sizes = tuple(
        (side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in (32, 64, 128, 256)
    )
    return {"anchor_generator": AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 4)}
