"""One annotated object of one frame, as the bridge learns, compares and judges it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.shapes import outlines
from trainer.detections import Mask


@dataclass(frozen=True)
class LabelledObject:
    """One annotated object of one frame.

    label: its name. kind: rectangle, polygon, mask, ellipse or tag, as drawn in CVAT.
    box: x1 y1 x2 y2 in pixels, inside the image; None for a tag, which has no place.
    polygons: (K, 2) outlines inside the image, for a turned rectangle, an ellipse or a polygon.
    mask: for a mask, inside the image. source: auto, semi-auto, manual, file or consensus.
    score: 1 where CVAT keeps none. cvat_id: of the shape or tag; of the track for a track's
    objects, whose track_id is the same. group: CVAT's number of the group on its frame, 0 for
    none. parts: ids of all shapes that one object is drawn with, itself among them.
    """

    label: str
    kind: str
    box: outlines.Box | None
    polygons: tuple[NDArray[np.float64], ...]
    mask: Mask | None
    source: str
    score: float
    cvat_id: int | None
    track_id: int | None = None
    group: int = 0
    parts: tuple[int, ...] = ()
