"""Boxes and masks as plain geometry: how much they overlap, and what of them an image holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trainer.detections import Mask


def box_iou(
    left: ArrayLike, right: ArrayLike, *, crowd: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Return (A, B) intersection over union of (A, 4) and (B, 4) boxes x1 y1 x2 y2.

    crowd: (B,) 1 for a box of a crowd, by COCO's rule over the area of the left box alone.
    A box without area overlaps nothing.
    """
    from pycocotools import mask as coco

    sizes = _with_sizes(left), _with_sizes(right)
    shape = len(sizes[0]), len(sizes[1])
    if not all(shape):
        return np.zeros(shape)
    return np.asarray(coco.iou(*sizes, crowd or [0] * shape[1]), np.float64).reshape(shape)


def clip_mask(mask: Mask, size: tuple[int, int]) -> Mask | None:
    """Return a mask's set pixels inside an image, its box drawn tight; None where none are left.

    size: (height, width) of the image.
    """
    height, width = size
    x, y = max(0, mask.left), max(0, mask.top)
    inside = mask.bitmap[
        y - mask.top : max(0, height - mask.top), x - mask.left : max(0, width - mask.left)
    ]
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    tight = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Mask(np.ascontiguousarray(tight, np.bool_), x + int(columns[0]), y + int(rows[0]))


def _with_sizes(boxes: ArrayLike) -> NDArray[Any]:
    """Return (N, 4) boxes as x y width height, as pycocotools has them."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
