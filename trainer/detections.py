"""What a detector says about one image: a struct of arrays, checked when it is built."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mask:
    """A binary mask inside its box.

    bitmap: (h, w) bool. left, top: the bitmap's corner in image pixels.
    """

    bitmap: NDArray[np.bool_]
    left: int
    top: int


@dataclass(frozen=True)
class Detections:
    """The N objects found in one image, best score first.

    boxes: (N, 4) float32, x1 y1 x2 y2 in pixels of the image given, inside the image.
    scores: (N,) float32 in 0..1.
    class_ids: (N,) int64 into the label map.
    probabilities: (N, C) float32, or None when the model gives only the winner.
    masks: N masks, or None for a model of boxes.
    embedding: (D,) float32 that describes the whole image, or None.
    head: "sigmoid" or "softmax": how to read probabilities.

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
                raise ValueError(f"detections.{name} holds a value that is not finite")
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
        """Nothing found (which is an answer: a failure raises instead)."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            class_ids=np.zeros(0, np.int64),
            probabilities=np.zeros((0, classes), np.float32),
            embedding=embedding,
        )
