"""The network during training, as a Detector: for sample pictures only, not for metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.engines.letterbox import letterbox

_IOU = 0.6
_MOST = 1000  # objects per picture


class LiveDetector:
    """An ultralytics network in evaluation mode, not copied. size: (height, width) of its input.

    A copy would take longer than the prediction.
    """

    def __init__(self, network: Any, labels: LabelMap, size: tuple[int, int]) -> None:
        self._network = network
        self._labels, self._size = labels, size

    @property
    def labels(self) -> LabelMap:
        """Return the classes that class_ids index."""
        return self._labels

    @torch.no_grad()
    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Detect in all images as one batch; see Detector.detect."""
        from ultralytics.utils.nms import non_max_suppression

        weight = next(self._network.parameters())
        boxed = [letterbox(image, self._size) for image in images]
        pixels = torch.from_numpy(np.stack([square for square, _ in boxed])).to(weight.device)
        batch = pixels.permute(0, 3, 1, 2).to(weight.dtype) / 255
        found = non_max_suppression(
            self._network(batch), min_score, _IOU, max_det=_MOST, nc=len(self._labels)
        )
        answers = []
        for image, (_, scale), on_device in zip(images, boxed, found, strict=True):
            rows = on_device.float().cpu()
            height, width = image.shape[:2]
            boxes = np.clip(rows[:, :4].numpy() / scale, 0, [width, height, width, height])
            answers.append(
                Detections(
                    boxes.astype(np.float32),
                    rows[:, 4].numpy().astype(np.float32),
                    rows[:, 5].numpy().astype(np.int64),
                )
            )
        return answers
