"""A hand-crafted image descriptor: for cold starts and for near-duplicates.

Three parts of equal weight, each of unit length: a thumbnail in Lab (layout), orientations of
gradients in a 3 x 3 grid (shape; after Dalal and Triggs, Histograms of Oriented Gradients, 2005),
and a colour histogram in Lab. The dot product of two descriptors is their similarity.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage

SIZE = 75 + 72 + 64  # numbers in a descriptor
_SIDE = 96  # pixels; images are resized to this side
_GRID, _ANGLES = 3, 8
_THUMBNAIL = 5
_BINS = 4


def describe(image: RGBImage) -> NDArray[np.float32]:
    """Return the image's descriptor, (SIZE,) float32 of unit length.

    image: (H, W, 3) uint8 RGB. The shape part of an image without texture is zero.
    """
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    raw = cv2.cvtColor(np.asarray(small, np.float32) / 255, cv2.COLOR_RGB2Lab)
    # Scale each channel to about -1..1.
    middle, spread = np.array([50, 0, 0], np.float32), np.array([50, 60, 60], np.float32)
    lab = np.asarray((raw - middle) / spread, np.float32)
    thumbnail = cv2.resize(lab, (_THUMBNAIL, _THUMBNAIL), interpolation=cv2.INTER_AREA)
    parts = [thumbnail.ravel(), _orientations(lab[..., 0]), _colours(lab)]
    whole = np.concatenate([_unit(np.asarray(part, np.float32)) for part in parts])
    return _unit(whole)


def _orientations(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    gray = np.asarray(cv2.GaussianBlur(gray, (0, 0), 1.0), np.float32)
    gx, gy = cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    strength = np.hypot(gx, gy)
    angle = (np.arctan2(gy, gx) % np.pi) * (_ANGLES / np.pi)
    angle_bin = np.minimum(angle.astype(np.int64), _ANGLES - 1)
    cell = np.arange(_SIDE) * _GRID // _SIDE
    bins = (cell[:, None] * _GRID + cell[None, :]) * _ANGLES + angle_bin
    total = np.bincount(bins.ravel(), strength.ravel(), minlength=_GRID * _GRID * _ANGLES)
    return np.sqrt(total).astype(np.float32)


def _colours(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    bins = np.clip(((lab + 1) * (_BINS / 2)).astype(np.int64), 0, _BINS - 1)
    flat = (bins[..., 0] * _BINS + bins[..., 1]) * _BINS + bins[..., 2]
    # The root reduces the weight of dominant colours.
    return np.sqrt(np.bincount(flat.ravel(), minlength=_BINS**3)).astype(np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
