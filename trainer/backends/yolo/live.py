"""The network as it is while it learns, as a Detector: for pictures, never for figures."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from trainer.detections import Detections
from trainer.engines.letterbox import letterbox
from trainer.images import RGBImage
from trainer.labels import LabelMap

_IOU = 0.6
_MOST = 100


class Live:
    """A copy of a network of ultralytics. size: (height, width) that it sees."""

    def __init__(self, network: Any, labels: LabelMap, size: tuple[int, int]) -> None:
        # In 32 bits and detached from what learns: validating may have halved and fused it.
        self._network = copy.deepcopy(network).float().eval()
        self._labels, self._size = labels, size

    @property
    def labels(self) -> LabelMap:
        """The classes that class_ids point into."""
        return self._labels

    @torch.no_grad()
    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Answer each image by itself; see Detector.detect."""
        from ultralytics.utils.nms import non_max_suppression

        device = next(self._network.parameters()).device
        answers = []
        for image in images:
            pixels, scale = letterbox(image, self._size)
            batch = torch.from_numpy(pixels).to(device).permute(2, 0, 1)[None].float() / 255
            rows = non_max_suppression(
                self._network(batch), min_score, _IOU, max_det=_MOST, nc=len(self._labels)
            )[0].cpu()
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
