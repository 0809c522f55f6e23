"""A detector's output for one image, and the geometry of its boxes and masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Mask:
    """A binary mask inside its box.

    bitmap: (h, w) bool. left, top: the bitmap's corner in image pixels.
    """

    bitmap: NDArray[np.bool_]
    left: int
    top: int

    def on(self, size: tuple[int, int]) -> NDArray[np.bool_]:
        """Return the mask on a whole image of (height, width) = size, which must contain it."""
        canvas = np.zeros(size, np.bool_)
        height, width = self.bitmap.shape
        canvas[self.top : self.top + height, self.left : self.left + width] = self.bitmap
        return canvas


@dataclass(frozen=True)
class Detections:
    """The N objects found in one image, best score first.

    boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the input image, inside the image. scores: (N,)
    float32 in 0..1. class_ids: (N,) int64 into the label map. probabilities: (N, C) float32, or
    None when the model returns only the best class. masks: N masks, or None for a model of boxes.
    embedding: (D,) float32 that describes the whole image, or None. head: "sigmoid" or "softmax":
    how to read probabilities.

    Raises ValueError naming the array, the shape expected and the shape found.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    probabilities: NDArray[np.float32] | None = None
    masks: tuple[Mask, ...] | None = None
    embedding: NDArray[np.float32] | None = None
    head: str = "sigmoid"

    def __post_init__(self) -> None:
        count = len(self.scores)
        for name, array, shape in (
            ("boxes", self.boxes, (count, 4)),
            ("scores", self.scores, (count,)),
            ("class_ids", self.class_ids, (count,)),
        ):
            if array.shape != shape:
                raise ValueError(f"detections.{name} must be {shape}, found {array.shape}")
            if not np.all(np.isfinite(array)):
                raise ValueError(f"detections.{name} contains a value that is not finite")
        if count and (self.scores.min() < 0 or self.scores.max() > 1):
            raise ValueError(
                f"detections.scores must lie in 0..1, "
                f"found {self.scores.min()}..{self.scores.max()}"
            )
        if self.probabilities is not None and (
            self.probabilities.ndim != 2 or len(self.probabilities) != count
        ):
            raise ValueError(
                f"detections.probabilities must be ({count}, C), found {self.probabilities.shape}"
            )
        if self.masks is not None and len(self.masks) != count:
            raise ValueError(f"detections.masks must be {count}, found {len(self.masks)}")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls, *, classes: int = 0, embedding: NDArray[np.float32] | None = None) -> Detections:
        """Return detections of no object: nothing was found (a failure raises instead)."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int64),
            probabilities=np.zeros((0, classes), np.float32),
            embedding=embedding,
        )


def box_iou(
    left: ArrayLike, right: ArrayLike, *, crowd: Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Return (A, B) intersection over union of (A, 4) and (B, 4) boxes x1 y1 x2 y2.

    crowd: (B,) 1 for a crowd box; by COCO's rule its IoU is over the area of the left box. An empty
    box overlaps nothing.
    """
    from pycocotools import mask as coco

    sizes = _with_sizes(left), _with_sizes(right)
    shape = len(sizes[0]), len(sizes[1])
    if not all(shape):
        return np.zeros(shape)
    return np.asarray(coco.iou(*sizes, crowd or [0] * shape[1]), np.float64).reshape(shape)


def clip_mask(mask: Mask, size: tuple[int, int]) -> Mask | None:
    """Return the part of a mask inside an image, with a tight box; None if nothing is left.

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
    """Return (N, 4) boxes as x y width height, for pycocotools."""
    corners = np.asarray(boxes, np.float64).reshape(-1, 4)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
