"""Pictures to time clicks on: a disc on a textured ground."""

from __future__ import annotations

import cv2
import numpy as np

from trainer.data.images import RGBImage


def photo(size: tuple[int, int], seed: int) -> bytes:
    """Return the picture of (height, width) as a JPEG."""
    pixels = scene(size, seed)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()


def scene(size: tuple[int, int], seed: int) -> RGBImage:
    """Return the picture itself, (H, W, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    pixels = cv2.resize(small, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)
    middle = size[1] // 2, size[0] // 2
    cv2.circle(pixels, middle, min(size) // 4, (40, 90, 200), -1)
    return np.asarray(pixels, np.uint8)
