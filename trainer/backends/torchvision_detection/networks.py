"""torchvision's detectors by name, for any classes and input size."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models import detection, mobilenet_v3_small
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN, resnet_fpn_backbone

from trainer.backends.learning.starting.carry import HeadRows
from trainer.backends.learning.starting.published import published
from trainer.backends.torchvision_detection.settings import ARCHITECTURES, two_stages
from trainer.errors import ConfigError

_SMALL = re.compile(r"(\w+?)_(resnet18|resnet34|mobilenet_v3_small)_fpn")
# Features of mobilenet_v3_small at strides 4, 8, 16 and 32: layer → channels.
_MOBILE = {1: 16, 3: 24, 8: 48, 11: 96}
_MOBILE_WIDTH = 64
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
    """Return torchvision's network with random weights and torchvision's parameter names.

    classes: names in order; two-stage networks (R-CNN) have one more output, the background, which
    comes first. image_size: (height, width) of its inputs, so that nothing is resized twice.
    regions: sampled per image for the second stage. Raises ConfigError for an architecture that is
    not in settings.ARCHITECTURES.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            [f"unknown architecture {architecture!r}; known are {', '.join(ARCHITECTURES)}"]
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
    family, trunk = small.groups()
    backbone = _trunk(trunk, levels=4 if two_stages(architecture) else 3)
    if not two_stages(architecture):
        options |= _dense_anchors(family)
    other: nn.Module = _FAMILIES[family](backbone, num_classes=count, **options)
    return other


def published_coco(architecture: str, who: str) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return torchvision's own weights and the classes of their heads; see starting.published."""
    weights, _ = published(architecture, who)
    return weights, coco_names(architecture)


def coco_names(architecture: str) -> tuple[str, ...]:
    """Return COCO's names as torchvision numbers them; gaps in the ids have placeholders."""
    known = detection.FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    return tuple(
        f"unused {n}" if name in ("N/A", "__background__") else name
        for n, name in enumerate(known[int(two_stages(architecture)) :])
    )


def heads_of(network: Any) -> dict[str, HeadRows]:
    """Return the tensors of the network that have rows per class."""
    if hasattr(network, "roi_heads"):
        names = {
            "roi_heads.box_predictor.cls_score": HeadRows(background=1),
            "roi_heads.box_predictor.bbox_pred": HeadRows(background=1, inner=4),
            "roi_heads.mask_predictor.mask_fcn_logits": HeadRows(background=1),
        }
    else:
        anchors = int(network.anchor_generator.num_anchors_per_location()[0])
        names = {"head.classification_head.cls_logits": HeadRows(outer=anchors)}
    return {f"{name}.{part}": rows for name, rows in names.items() for part in ("weight", "bias")}


def _trunk(name: str, *, levels: int) -> nn.Module:
    """Return a backbone with a feature pyramid over its last levels, and a coarser pooled one."""
    if name == "mobilenet_v3_small":
        taken = dict([*_MOBILE.items()][-levels:])
        outputs = {str(layer): str(n) for n, layer in enumerate(taken)}
        features = mobilenet_v3_small(weights=None).features
        small: nn.Module = BackboneWithFPN(features, outputs, [*taken.values()], _MOBILE_WIDTH)
        return small
    made: nn.Module = resnet_fpn_backbone(
        backbone_name=name,
        weights=None,
        trainable_layers=5,
        norm_layer=nn.BatchNorm2d,
        returned_layers=[1, 2, 3, 4][-levels:],
    )
    return made


def _dense_anchors(family: str) -> dict[str, Any]:
    """Return anchors for the four levels of a small pyramid, from stride 8."""
    if family == "fcos":
        return {"anchor_generator": AnchorGenerator(((8,), (16,), (32,), (64,)), ((1.0,),) * 4)}
    sizes = tuple(
        (side, int(side * 2 ** (1 / 3)), int(side * 2 ** (2 / 3))) for side in (32, 64, 128, 256)
    )
    return {"anchor_generator": AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 4)}
