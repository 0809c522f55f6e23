"""Merge a correction into the mask: change it near the click, or where the network is certain.

As in FocalClick's progressive merge (Chen et al., CVPR 2022), but by connected parts of the change:
the part at the click is accepted, and a part elsewhere only if the network is certain.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.detections import Mask
from trainer.engines.interactor.clicks import Box, Points, crop_of

Bitmap = NDArray[np.bool_]
_NEAR = 0.06  # of the object's longer side: a part this close belongs to the click
_FAR = 0.5  # of the object's longer side: a change farther away is not near the click
_SURE = 0.97  # mean probability required of a part without a click


def merge_correction(
    before: Bitmap,
    after: Bitmap,
    share: NDArray[np.float32],
    *,
    positive: Points,
    negative: Points,
    side: float,
) -> Bitmap:
    """Return the previous mask with the parts of the change that the new clicks select.

    before, after: (H, W). share: (H, W) 0..1, the probabilities behind `after`. positive, negative:
    the new clicks, in these pixels. side: of the object, pixels.
    """
    kept = before.copy()
    reach = max(2.0, _NEAR * side)
    for change, clicks, value in (
        (after & ~before, positive, True),
        (before & ~after, negative, False),
    ):
        certain = share if value else 1 - share
        near = _within(change, clicks, max(2.0, _FAR * side))
        kept[_asked(near, clicks, certain, reach)] = value
    return kept


def on_region(mask: Mask, region: Box, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the coverage by a mask of each pixel of a region of the image, (height, width)."""
    # Outside the mask its border is repeated, so pad it with enough empty pixels for averaging.
    room = 1 + math.ceil(2 * max((region[2:] - region[:2]) / [size[1], size[0]]))
    padded = np.pad(mask.bitmap.astype(np.uint8) * 255, room)
    moved = region - np.tile([mask.left - room, mask.top - room], 2)
    found: NDArray[np.float32] = crop_of(padded, moved, size).astype(np.float32) / np.float32(255)
    return found


def on_window(mask: Mask, window: tuple[int, int, int, int], size: tuple[int, int]) -> Bitmap:
    """Return a mask in a window of the image, left top right bottom, at size (height, width)."""
    left, top, right, bottom = window
    frame = np.zeros((bottom - top, right - left), np.uint8)
    height, width = mask.bitmap.shape
    y1, x1 = max(top, mask.top), max(left, mask.left)
    y2, x2 = min(bottom, mask.top + height), min(right, mask.left + width)
    if y1 < y2 and x1 < x2:
        frame[y1 - top : y2 - top, x1 - left : x2 - left] = mask.bitmap[
            y1 - mask.top : y2 - mask.top, x1 - mask.left : x2 - mask.left
        ]
    if frame.shape == size:
        return frame > 0
    small = cv2.resize(frame * 255, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8) > 127


def within_frame(mask: Bitmap, frame: Box, clicks: Points) -> Bitmap:
    """Return the mask clipped to a frame, except where later clicks lie beyond it.

    frame: (4,) in the mask's pixels. clicks: the positive clicks; a part of the mask outside the
    frame stays if it contains such a click.
    """
    height, width = mask.shape
    inside = np.zeros(mask.shape, np.bool_)
    left, top = np.clip(np.floor(frame[:2]), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.floor(frame[2:]) + 1, 0, [width, height]).astype(int)
    inside[top:bottom, left:right] = True
    beyond = mask & ~inside
    if not beyond.any():
        return mask
    asked = _asked(beyond, clicks, np.zeros(mask.shape, np.float32), 2.0)
    return (mask & inside) | asked


def _within(change: Bitmap, clicks: Points, far: float) -> Bitmap:
    """Return the part of a change near the clicks; all of it if there are none."""
    if not len(clicks):
        return change
    height, width = change.shape
    x, y = np.arange(width) + 0.5, (np.arange(height) + 0.5)[:, None]
    near = np.zeros(change.shape, np.bool_)
    for cx, cy in clicks.tolist():
        near |= (x - cx) ** 2 + (y - cy) ** 2 <= far**2
    return change & near


def _asked(change: Bitmap, clicks: Points, certain: NDArray[np.float32], reach: float) -> Bitmap:
    """Return the parts of a change at the clicks, and certain ones elsewhere."""
    if not change.any():
        return change
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        change.astype(np.uint8), connectivity=8
    )
    sums = np.bincount(labels.ravel(), certain.ravel(), minlength=count)
    keep = sums / np.maximum(stats[:, cv2.CC_STAT_AREA], 1) >= _SURE
    for x, y in clicks.tolist():
        if (part := _at(labels, x, y, reach)) > 0:
            keep[part] = True
    keep[0] = False
    found: Bitmap = keep[labels]
    return found


def _at(labels: NDArray[Any], x: float, y: float, reach: float) -> int:
    """Return the part nearest to a point within reach, 0 if none."""
    top, left = max(0, int(y - reach)), max(0, int(x - reach))
    near = labels[top : int(y + reach) + 1, left : int(x + reach) + 1]
    ys, xs = np.nonzero(near)
    if not len(ys):
        return 0
    away = (xs + left + 0.5 - x) ** 2 + (ys + top + 0.5 - y) ** 2
    nearest = int(away.argmin())
    return int(near[ys[nearest], xs[nearest]]) if away[nearest] <= reach**2 else 0
