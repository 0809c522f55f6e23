"""Simulate an annotator who knows the true mask: extreme points and corrective clicks."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]  # (N, 2), x y
Bitmap = NDArray[np.bool_]  # (H, W)


def four_points(mask: Bitmap) -> Points:
    """Return the centres of the leftmost, topmost, rightmost and bottommost pixels, (4, 2).

    Among several pixels on one side, the middle one. Raises ValueError for an empty mask.
    """
    ys, xs = np.nonzero(mask)
    if not len(ys):
        raise ValueError("an empty mask has no extreme points")
    found = []
    for values, edge in ((xs, xs.min()), (ys, ys.min()), (xs, xs.max()), (ys, ys.max())):
        on = np.flatnonzero(values == edge)
        middle = on[len(on) // 2]
        found.append((xs[middle] + 0.5, ys[middle] + 0.5))
    return np.array(found, np.float64)


def next_click(target: Bitmap, found: Bitmap) -> tuple[tuple[float, float], bool] | None:
    """Return the centre of the largest error, x y, and whether the click is positive.

    target, found: (H, W) masks. None if there is no error.
    """
    best: tuple[tuple[float, float], bool] | None = None
    deepest = 0.0
    for positive, wrong in ((True, target & ~found), (False, found & ~target)):
        if not wrong.any():
            continue
        deep = depth(wrong)
        if (value := float(deep.max())) > deepest:
            y, x = np.unravel_index(int(deep.argmax()), deep.shape)
            best, deepest = ((float(x) + 0.5, float(y) + 0.5), positive), value
    return best


def depth(region: Bitmap) -> NDArray[np.float32]:
    """Return the distance of each pixel of a region from its border; the frame counts as border."""
    padded = np.pad(region.astype(np.uint8), 1)
    found = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    return np.asarray(found, np.float32)[1:-1, 1:-1]


def iou(one: Bitmap, other: Bitmap) -> float:
    """Return the intersection over union of two masks of equal size; 1 if both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
