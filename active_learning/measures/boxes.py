"""Overlap of boxes."""

from __future__ import annotations

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray


def iou(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return (A, B) intersection over union of (A, 4) and (B, 4) boxes x1 y1 x2 y2.

    A box without area overlaps nothing. Raises InvalidPoolError on another shape.
    """
    for name, boxes in (("left", left), ("right", right)):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise InvalidPoolError(f"{name} boxes must be (N, 4), found {boxes.shape}")
    low = np.maximum(left[:, None, :2], right[None, :, :2])
    high = np.minimum(left[:, None, 2:], right[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = _area(left)[:, None] + _area(right)[None, :] - shared
    return np.asarray(np.where(shared > 0, shared / np.where(union > 0, union, 1), 0.0))


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray(np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1))
