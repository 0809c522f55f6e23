"""What can be said of a frame and of a box in it without knowing any model."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage

_LONG_SIDE = 512  # pixels; frames are looked at no larger than this
FloatArray = NDArray[np.float64]

# The columns of `box_attributes`, in order.
BOX_COLUMNS = ("size", "aspect", "edge", "crowding")


@dataclass(frozen=True)
class FrameAppearance:
    """brightness, contrast: mean and spread of the luminance, 0..1.

    sharpness: spread of the luminance's Laplacian over the spread of the luminance, low for a
    blurred frame (the variance of the Laplacian as a focus measure: Pech-Pacheco et al., Diatom
    autofocusing in brightfield microscopy, ICPR 2000; divided, so that a low contrast alone does
    not count as blur).
    """

    brightness: float
    contrast: float
    sharpness: float


def measure_appearance(pixels: RGBImage) -> FrameAppearance:
    """Measure a frame, (H, W, 3) uint8 RGB."""
    height, width = pixels.shape[:2]
    scale = min(1.0, _LONG_SIDE / max(height, width))
    shape = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA) if scale < 1 else pixels
    gray = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32) / 255
    spread = float(gray.std())
    edges = float(cv2.Laplacian(gray, cv2.CV_32F).std())
    return FrameAppearance(float(gray.mean()), spread, edges / spread if spread > 1e-6 else 0.0)


def box_attributes(boxes: FloatArray, width: int, height: int) -> FloatArray:
    """Measure the boxes of one frame, (N, 4) x1 y1 x2 y2 → (N, 4), see BOX_COLUMNS.

    size: root of the box's share of the frame, 0..1. aspect: log2 of width over height, above 0
    for wide boxes. edge: distance to the nearest side of the frame over the frame's smaller side.
    crowding: other boxes of these that meet the box when it is grown by half its size.
    """
    if not len(boxes):
        return np.zeros((0, len(BOX_COLUMNS)))
    boxes = boxes.astype(float)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-3)
    size = np.sqrt(sides.prod(axis=1) / (width * height))
    aspect = np.log2(sides[:, 0] / sides[:, 1])
    gaps = np.stack([boxes[:, 0], boxes[:, 1], width - boxes[:, 2], height - boxes[:, 3]])
    edge = np.maximum(gaps.min(axis=0), 0) / min(width, height)
    low, high = boxes[:, :2] - sides / 4, boxes[:, 2:] + sides / 4
    meets = (low[:, None] < boxes[None, :, 2:]) & (high[:, None] > boxes[None, :, :2])
    crowding = meets.all(axis=2).sum(axis=1) - 1
    return np.stack([size, aspect, edge, crowding.astype(float)], axis=1)
