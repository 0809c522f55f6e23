"""torchvision's detectors as exportable graphs: pixels to candidates, boxes to masks."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers

_USUAL_LIMITS = (100, 300)  # objects per frame: R-CNN and FCOS; RetinaNet
_MULTIPLE = 32  # torchvision pads the sides to multiples of it


class CandidateNetwork(nn.Module):
    """Map an image (1, 3, H, W) of 0..255 RGB to all candidate objects.

    limits: (2,) height and width of the image inside the input; the rest, right and below, is
    padding, into which no box may extend. boxes: (N, C, 4) or (N, 1, 4), x1 y1 x2 y2 in pixels,
    within the limits. probabilities: (N, C) per class, without background. embedding: (1, D), unit
    length. With masks, also the feature maps that MaskNetwork reads.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.staged = hasattr(network, "roi_heads")
        self.masked = self.staged and network.roi_heads.has_mask()
        self.levels: list[int] = []
        for name in ("mean", "std"):
            values = getattr(network.transform, f"image_{name}")
            self.register_buffer(name, torch.tensor(values)[None, :, None, None])

    def forward(self, images: Tensor, limits: Tensor) -> tuple[Tensor, ...]:
        """Return boxes, probabilities, embedding and maps."""
        net = self.network
        height, width = self.size
        x = functional.pad(
            (images / 255 - self.mean) / self.std, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
        )
        features = net.backbone(x)
        frames = ImageList(x, [self.size])
        found = (self._staged if self.staged else self._dense)(features, frames, limits)
        top = list(features.values())[-1].mean(dim=(2, 3))
        kept = [features[name] for name in names_of(net)] if self.masked else []
        return (*found, functional.normalize(top, dim=1), *kept)

    def reading(self, candidates: int) -> dict[str, Any]:
        """Return what the engine needs to filter candidates as torchvision does."""
        net = self.network
        if self.staged:
            heads = net.roi_heads
            return {
                "iou": float(heads.nms_thresh),
                "most": _limit(heads.detections_per_img),
                "levels": [],
            }
        return {
            "iou": float(net.nms_thresh),
            "most": _limit(net.detections_per_img),
            "a_level": int(net.topk_candidates),
            "levels": self.levels or [candidates],
        }

    def _staged(
        self, features: dict[str, Tensor], frames: ImageList, limits: Tensor
    ) -> tuple[Tensor, Tensor]:
        heads = self.network.roi_heads
        proposals = self._proposals(features, frames, limits)
        pooled = heads.box_head(heads.box_roi_pool(features, proposals, frames.image_sizes))
        logits, shifts = heads.box_predictor(pooled)
        boxes = heads.box_coder.decode(shifts, proposals)
        return _clipped(boxes[:, 1:], limits), torch.softmax(logits, -1)[:, 1:]

    def _proposals(
        self, features: dict[str, Tensor], frames: ImageList, limits: Tensor
    ) -> list[Tensor]:
        """Return the RPN's proposals, clipped to limits that the RPN itself treats as constant."""
        rpn, maps = self.network.rpn, list(features.values())
        objectness, shifts = rpn.head(maps)
        anchors = rpn.anchor_generator(frames, maps)
        shapes = [level[0].shape for level in objectness]
        scores, shifts = concat_box_prediction_layers(objectness, shifts)
        boxes = _clipped(rpn.box_coder.decode(shifts, anchors), limits).view(1, -1, 4)
        counts = [shape[0] * shape[1] * shape[2] for shape in shapes]
        proposals: list[Tensor] = rpn.filter_proposals(boxes, scores, frames.image_sizes, counts)[0]
        return proposals

    def _dense(
        self, features: dict[str, Tensor], frames: ImageList, limits: Tensor
    ) -> tuple[Tensor, Tensor]:
        net = self.network
        maps = list(features.values())
        answers = net.head(maps)
        anchors = net.anchor_generator(frames, maps)[0]
        scores = torch.sigmoid(answers["cls_logits"][0])
        if "bbox_ctrness" in answers:
            scores = torch.sqrt(scores * torch.sigmoid(answers["bbox_ctrness"][0]))
            boxes = net.box_coder.decode(answers["bbox_regression"][0], anchors)
        else:
            boxes = net.box_coder.decode_single(answers["bbox_regression"][0], anchors)
        if not torch.onnx.is_in_onnx_export():
            each = scores.shape[0] // sum(m.shape[2] * m.shape[3] for m in maps)
            self.levels = [int(m.shape[2] * m.shape[3]) * each for m in maps]
        return _clipped(boxes[:, None], limits), scores


class MaskNetwork(nn.Module):
    """Map boxes (K, 4) in pixels and CandidateNetwork's maps to masks (K, C, 28, 28) per class."""

    def __init__(self, network: Any, size: tuple[int, int]) -> None:
        super().__init__()
        self.network, self.size = network, size

    def forward(self, boxes: Tensor, *maps: Tensor) -> Tensor:
        """Return the mask probabilities in each box, by class."""
        heads = self.network.roi_heads
        features = OrderedDict(zip(names_of(self.network), maps, strict=True))
        pooled = heads.mask_roi_pool(features, [boxes], [self.size])
        return torch.sigmoid(heads.mask_predictor(heads.mask_head(pooled)))[:, 1:]


def _limit(most: int) -> int | None:
    """Return a limit of objects per frame, None for torchvision's default, which nobody chose."""
    return None if most in _USUAL_LIMITS else int(most)


def names_of(network: Any) -> list[str]:
    """Return the names of the feature maps from which masks are predicted."""
    return list(network.roi_heads.mask_roi_pool.featmap_names)


def _clipped(boxes: Tensor, limits: Tensor) -> Tensor:
    """Return boxes (..., 4) clipped to 0 and (height, width) = limits."""
    x = torch.minimum(boxes[..., 0::2].clamp(min=0), limits[1])
    y = torch.minimum(boxes[..., 1::2].clamp(min=0), limits[0])
    return torch.stack([x[..., 0], y[..., 0], x[..., 1], y[..., 1]], dim=-1)
