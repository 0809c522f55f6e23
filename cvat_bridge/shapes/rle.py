"""CVAT's mask form: run lengths of the box, row by row and zeros first, then the box.

Unlike COCO's it is row-major and only of the box, whose last two numbers are inclusive:
counts…, left, top, right, bottom. CVAT stores whatever it is given, so a reader has to check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.detections import Mask


class BrokenMaskError(ValueError):
    """The numbers are no mask."""


def decode(points: Sequence[float]) -> Mask:
    """Read a mask; BrokenMaskError where counts and box do not agree."""
    if len(points) < 5:
        raise BrokenMaskError(f"a mask needs at least 5 numbers, found {len(points)}")
    numbers = np.asarray(points, np.float64)
    if not np.all(np.isfinite(numbers)) or np.any(numbers != np.round(numbers)):
        raise BrokenMaskError("a mask is of whole numbers")
    counts = numbers[:-4].astype(np.int64)
    left, top, right, bottom = (int(value) for value in numbers[-4:])
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1:
        raise BrokenMaskError(f"its box {left}, {top}, {right}, {bottom} is empty")
    if np.any(counts < 0) or int(counts.sum()) != width * height:
        raise BrokenMaskError(
            f"its counts make {int(counts.sum())} pixels, its box has {width * height}"
        )
    values = np.arange(len(counts)) % 2 == 1
    bitmap = np.repeat(values, counts).reshape(height, width)
    return Mask(bitmap, left, top)


def encode(mask: Mask) -> list[int]:
    """Write a mask; its bitmap is the box. BrokenMaskError for an empty bitmap."""
    height, width = mask.bitmap.shape
    if not mask.bitmap.any():
        raise BrokenMaskError("no pixel of it is set")
    flat = mask.bitmap.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    borders = np.concatenate(([0], changes, [flat.size]))
    counts = np.diff(borders).tolist()
    if flat[0]:
        counts.insert(0, 0)
    return [*counts, mask.left, mask.top, mask.left + width - 1, mask.top + height - 1]


def clip(mask: Mask, width: int, height: int) -> Mask | None:
    """Cut a mask to its set pixels inside an image; None when there are none."""
    x1, y1 = max(0, mask.left), max(0, mask.top)
    bitmap = mask.bitmap[
        y1 - mask.top : max(0, height - mask.top), x1 - mask.left : max(0, width - mask.left)
    ]
    if not bitmap.any():
        return None
    rows = np.flatnonzero(bitmap.any(axis=1))
    columns = np.flatnonzero(bitmap.any(axis=0))
    inner = bitmap[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Mask(np.ascontiguousarray(inner), x1 + int(columns[0]), y1 + int(rows[0]))


def box(mask: Mask) -> tuple[float, float, float, float]:
    """Give the edges of a mask's bitmap in pixels: x1, y1, x2, y2."""
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
    return clip(Mask(canvas, 0, 0), width, height)
