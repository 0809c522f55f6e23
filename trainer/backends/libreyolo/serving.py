"""libreyolo's networks as an exportable graph: pixels to boxes and class probabilities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


def preprocess(family: str, images: Tensor) -> Tensor:
    """Return pixels (B, 3, H, W) of 0..255 RGB in the format that a family's networks expect."""
    if family == "yolox":
        return images.flip(1)  # BGR, not scaled
    if family != "rfdetr":
        return images / 255
    mean, std = (images.new_tensor(values)[None, :, None, None] for values in (_MEAN, _STD))
    return (images / 255 - mean) / std


class ExportedLibreyolo(nn.Module):
    """Map images (B, 3, H, W) of 0..255 RGB to all candidate objects.

    boxes: (B, N, 4), x1 y1 x2 y2 in pixels of the input. probabilities: (B, N, C). embedding: (B,
    D), unit length. The network is modified for serving and cannot be trained any more.
    """

    def __init__(
        self, family: str, network: Any, classes: int, image_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.family, self.classes, self.size = family, classes, image_size
        self.network = network.eval()
        self._coarsest: list[Tensor] = []
        if family == "rfdetr":
            trunk = network.backbone[0]
            trunk.encoder.shape = image_size  # its positions are computed once for this size
            network.export()
            trunk.projector.register_forward_hook(self._remember)
        elif family == "yolo9":
            network.head.export = True
        elif family != "yolox":
            network.deploy()

    def _remember(self, _part: nn.Module, _given: tuple[Any, ...], levels: Any) -> None:
        self._coarsest[:] = [levels[-1]]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, probabilities and embedding."""
        x = preprocess(self.family, images)
        boxes, probabilities, coarsest = getattr(self, f"_{self.family}")(x)
        return boxes, probabilities, functional.normalize(coarsest.mean(dim=(2, 3)), dim=1)

    def _yolox(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        from libreyolo.postprocess.yolox import make_grids

        features = self.network.backbone(x)
        levels = self.network.head(features)
        places, strides = make_grids(levels, [8, 16, 32])
        found = torch.cat([level.flatten(2) for level in levels], 2).permute(0, 2, 1)
        middle = (found[..., :2] + places) * strides
        boxes = _corners(middle, found[..., 2:4].exp() * strides)
        return boxes, found[..., 4:5] * found[..., 5:], features[-1]

    def _yolo9(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        network = self.network
        features = network.neck(*network.backbone(x))
        found = network.head([*features])[0].permute(0, 2, 1)
        return found[..., :4], found[..., 4:], features[-1]

    def _dfine(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.network.encoder(self.network.backbone(x))
        found = self.network.decoder(features)
        return self._set(found["pred_boxes"], found["pred_logits"], features[-1])

    _deim = _dfine

    def _rfdetr(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, logits = self.network(x)[:2]
        return self._set(boxes, logits[..., : self.classes], self._coarsest[0])

    def _set(self, boxes: Tensor, logits: Tensor, top: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Convert DETR outputs: centre and size as shares of the input, logits per class."""
        height, width = self.size
        scale = boxes.new_tensor([width, height])
        return _corners(boxes[..., :2] * scale, boxes[..., 2:] * scale), logits.sigmoid(), top


def _corners(middle: Tensor, size: Tensor) -> Tensor:
    return torch.cat([middle - size / 2, middle + size / 2], -1)
