"""Non-maximum suppression: of boxes that overlap much, the best score stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def suppress(
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    *,
    same: float,
    other: float = 1.0,
) -> NDArray[np.int64]:
    """Return the rows that stay, in order.

    boxes: (N, 4) x1 y1 x2 y2, best score first. same: IoU above which a box falls to a better
    one of its class; other: the same across classes (1 keeps all of them).
    """
    count = len(boxes)
    limit = np.where(class_ids[:, None] == class_ids[None, :], same, other)
    over = _iou(boxes) > limit
    stays = np.ones(count, np.bool_)
    for n in range(count):
        if stays[n]:
            stays[n + 1 :] &= ~over[n, n + 1 :]
    return np.flatnonzero(stays)


def thin(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int64], iou: float, most: int
) -> NDArray[np.int64]:
    """Return the rows that stay, `most` of them at most, without a table of all pairs.

    boxes: (N, 4), best score first. iou: above it a box falls to a better one of its class.
    """
    order = np.arange(len(boxes))
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept: list[int] = []
    while len(order) and len(kept) < most:
        first, order = order[0], order[1:]
        kept.append(int(first))
        low = np.maximum(boxes[first, :2], boxes[order, :2])
        high = np.minimum(boxes[first, 2:], boxes[order, 2:])
        inner = np.clip(high - low, 0, None).prod(axis=1)
        overlap = inner / np.maximum(area[first] + area[order] - inner, 1e-9)
        order = order[(overlap <= iou) | (class_ids[order] != class_ids[first])]
    return np.array(kept, np.int64)


def _iou(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    b = boxes.astype(np.float64)
    low = np.maximum(b[:, None, :2], b[None, :, :2])
    high = np.minimum(b[:, None, 2:], b[None, :, 2:])
    inner = np.clip(high - low, 0, None).prod(axis=2)
    area = (b[:, 2:] - b[:, :2]).prod(axis=1)
    return np.asarray(inner / np.maximum(area[:, None] + area[None, :] - inner, 1e-9))
