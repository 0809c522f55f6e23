"""Fit an image into the network's input: resized with its aspect kept, padded right and below."""

from __future__ import annotations

import cv2
import numpy as np

from trainer.data.images import RGBImage

FILL = 118  # gray of the padding, near the mean of natural images


def letterbox(image: RGBImage, size: tuple[int, int]) -> tuple[RGBImage, float]:
    """Return the image fitted into (height, width) = size, and the scale."""
    height, width = size
    scale = min(height / image.shape[0], width / image.shape[1])
    inner = inner_size((image.shape[0], image.shape[1]), size)[::-1]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((height, width, 3), FILL, np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=how)
    return canvas, scale


def inner_size(image: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of an image inside the input; see letterbox."""
    scale = min(size[0] / image[0], size[1] / image[1])
    height, width = (
        max(1, min(most, round(side * scale))) for most, side in zip(size, image, strict=True)
    )
    return height, width
