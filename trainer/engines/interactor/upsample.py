"""Upsample a mask from the network's size to the image's resolution, aligned with its edges."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import Box, thinned

_RADIUS = 3  # network pixels: radius of the windows of the guided filter
_SMOOTH = 4e-3  # epsilon of the guided filter: edges fainter than its root (gray 0..1) are ignored
_WORK = 640  # pixels: edges are computed up to this side and enlarged beyond


def guide_of(image: RGBImage, window: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return the gray values of a window of the image, (h, w) 0..1, downscaled if it is large.

    window: left, top, right, bottom in pixels of the image (H, W, 3); h and w keep its aspect.
    """
    left, top, right, bottom = window
    part = image[top:bottom, left:right]
    height, width = part.shape[:2]
    factor = min(1.0, _WORK / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = (
        part if factor == 1 else cv2.resize(thinned(part, size), size, interpolation=cv2.INTER_AREA)
    )
    return _gray(np.asarray(small, np.uint8))


def upsample(
    share: NDArray[np.float32],
    crop: RGBImage,
    guide: NDArray[np.float32],
    region: Box,
    window: tuple[int, int, int, int],
) -> NDArray[np.float32]:
    """Return the probabilities in a window of the image, at its guide's size (h, w).

    share: (S, S) 0..1 of the region, crop: (S, S, 3) the input behind it. guide: guide_of the
    window. The mask becomes a local linear function of the image (He and Sun, Fast Guided Filter,
    2015), fitted at low and applied at high resolution.
    """
    size = guide.shape[1], guide.shape[0]
    slope, offset = _linear(share, _gray(crop))
    found = _placed(slope, region, window, size) * guide + _placed(offset, region, window, size)
    return np.asarray(found, np.float32)


def enlarge(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return a mask enlarged to (height, width), with a smooth border between pixel centres."""
    if mask.shape == size:
        return mask
    grown = cv2.resize(
        mask.astype(np.uint8) * 255, (size[1], size[0]), interpolation=cv2.INTER_LINEAR
    )
    return np.asarray(grown, np.uint8) > 127


def _linear(
    share: NDArray[np.float32], guide: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    mean_guide, mean_share = _mean(guide), _mean(share)
    spread = _mean(guide * guide) - mean_guide * mean_guide
    shared = _mean(guide * share) - mean_guide * mean_share
    slope = np.asarray(shared / (spread + np.float32(_SMOOTH)), np.float32)
    offset = np.asarray(mean_share - slope * mean_guide, np.float32)
    return _mean(slope), _mean(offset)


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _RADIUS + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def _placed(
    values: NDArray[np.float32],
    region: Box,
    window: tuple[int, int, int, int],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Resample values from the region's grid to the window's, of size (width, height)."""
    left, top, right, bottom = window
    grow_x = (region[2] - region[0]) / values.shape[1] * size[0] / (right - left)
    grow_y = (region[3] - region[1]) / values.shape[0] * size[1] / (bottom - top)
    shift_x = (region[0] - left) * size[0] / (right - left)
    shift_y = (region[1] - top) * size[1] / (bottom - top)
    matrix = np.array(
        [
            [grow_x, 0, shift_x + (grow_x - 1) / 2],
            [0, grow_y, shift_y + (grow_y - 1) / 2],
        ]
    )
    placed = cv2.warpAffine(
        values, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(placed, np.float32)


def _gray(pixels: RGBImage) -> NDArray[np.float32]:
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(gray, np.float32) / np.float32(255)
