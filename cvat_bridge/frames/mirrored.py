"""A second look at every frame, mirrored: where the two looks differ, the model is unsure.

What a strategy of the measure "disagreement" reads (after CALD).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from active_learning.measures.disagreement import unflip
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.detector import Detector, RGBImage


def mirrored(model: str) -> str:
    """Return the name under which a model's answers to mirrored frames are remembered."""
    return f"{model}.mirrored"


@dataclass(frozen=True)
class Mirrored:
    """A detector that sees its images left to right; its boxes are mapped back. No masks."""

    detector: Detector

    @property
    def labels(self) -> LabelMap:
        """Those of the detector."""
        return self.detector.labels

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Answer as the detector does, of images mirrored left to right."""
        turned = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        return [
            replace(
                found,
                boxes=unflip(found.boxes, image.shape[1]).astype(np.float32),
                masks=None,
            )
            for image, found in zip(
                images, self.detector.detect(turned, min_score=min_score), strict=True
            )
        ]
