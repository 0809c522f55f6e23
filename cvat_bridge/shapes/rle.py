"""CVAT's mask form: run lengths of the box, row by row and zeros first, then the box.

Unlike COCO's it is row-major and only of the box, whose last two numbers are inclusive:
counts…, left, top, right, bottom. CVAT stores whatever it is given, so a reader has to check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.detections import Mask, clip_mask


class BrokenMaskError(ValueError):
    """The numbers are no mask."""


def decode(points: Sequence[float]) -> Mask:
    """Read a mask; BrokenMaskError where counts and box do not agree.

    Its box may leave the image, which cvat_sdk refuses: it is read at the origin and moved.
    """
    from cvat_sdk.masks import decode_mask

    try:
        *counts, left, top, right, bottom = points
        moved = [*counts, 0, 0, right - left, bottom - top]
        size = {"image_width": int(right - left) + 1, "image_height": int(bottom - top) + 1}
        mask = Mask(decode_mask(moved, **size), int(left), int(top))
    except (ValueError, OverflowError) as error:
        raise BrokenMaskError(f"the numbers are no mask of CVAT's: {error}") from error
    if (mask.left, mask.top) != (left, top):
        raise BrokenMaskError(f"the corner of its box, {left}, {top}, is not of whole numbers")
    return mask


def encode(mask: Mask) -> list[int]:
    """Write a mask; its bitmap is the box. BrokenMaskError for an empty bitmap."""
    from cvat_sdk.masks import encode_mask

    if not mask.bitmap.any():
        raise BrokenMaskError("no pixel of it is set")
    height, width = mask.bitmap.shape
    *counts, _, _, right, bottom = encode_mask(mask.bitmap, (0, 0, width, height))
    return [*counts, mask.left, mask.top, mask.left + right, mask.top + bottom]


def box(mask: Mask) -> tuple[float, float, float, float]:
    """Return the edges of a mask's bitmap in pixels: x1, y1, x2, y2."""
    height, width = mask.bitmap.shape
    return (
        float(mask.left),
        float(mask.top),
        float(mask.left + width),
        float(mask.top + height),
    )


def fill(polygons: Sequence[NDArray[np.float64]], width: int, height: int) -> Mask | None:
    """Draw polygons, each (K, 2), as one mask; None when no pixel of the image is in them.

    A pixel is in a polygon when its centre is.
    """
    from serverless.polygon.polygons import Polygon, rasterize

    canvas = rasterize([Polygon(np.asarray(part)) for part in polygons], (height, width))
    return clip_mask(Mask(canvas, 0, 0), (height, width))
