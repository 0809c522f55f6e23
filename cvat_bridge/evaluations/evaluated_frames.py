"""The words for what is recorded, and the frames that are judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.detections import Detections

# holdout: frozen frames; control: drawn by chance from the pool; corrected: every frame that
# people finished after the model had pre-annotated it. The first two are unbiased.
Source = Literal["holdout", "control", "corrected"]
Kind = Literal["missed", "wrong class", "loose box", "ghost"]
SOURCES: tuple[Source, ...] = ("holdout", "control", "corrected")
KINDS: tuple[Kind, ...] = ("missed", "wrong class", "loose box", "ghost")


@dataclass(frozen=True, eq=False, slots=True)
class FrameLocation:
    """A frame in CVAT and its file. group: what near-duplicates and parts of a video share."""

    task: int
    frame: int
    job: int
    image: str
    suffix: str
    width: int
    height: int
    subset: str = ""
    group: str = ""


@dataclass(frozen=True, eq=False)
class EvaluatedFrame:
    """A frame with known labels and what a model said of it.

    boxes: (N, 4) of what people marked, labels: their names, crowd: (K, 4) regions whose objects
    nobody counted. pixels: reads the frame, upright; asked only where it was not seen before.
    """

    where: FrameLocation
    boxes: NDArray[np.floating]
    labels: tuple[str, ...]
    crowd: NDArray[np.floating]
    found: Detections
    pixels: Callable[[], RGBImage]
