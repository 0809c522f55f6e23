"""Whether two models say the same of an image: pairs of objects within a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainer.detections import Detections

Bitmap = NDArray[np.bool_]


@dataclass(frozen=True)
class Seen:
    """What one model said of one image, in any order.

    boxes: (N, 4) pixels of the image. bitmaps: N of the whole image, or None for boxes.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    names: Sequence[str]
    bitmaps: Sequence[Bitmap] | None = None


def saw(found: Detections, names: Sequence[str], size: tuple[int, int]) -> Seen:
    """Return what one of our detectors said of an image of (height, width) = size."""
    bitmaps = None
    if found.masks is not None:
        bitmaps = []
        for mask in found.masks:
            whole = np.zeros(size, np.bool_)
            rows, columns = mask.bitmap.shape
            whole[mask.top : mask.top + rows, mask.left : mask.left + columns] = mask.bitmap
            bitmaps.append(whole)
    called = [names[n] for n in found.class_ids]
    return Seen(found.boxes.astype(float), found.scores.astype(float), called, bitmaps)


@dataclass
class Agreement:
    """Over some images. paired: objects that both said; single: those that only one said.

    box, score: largest distance within a pair (pixels; of 1). iou: of the masks of each pair.
    """

    paired: int = 0
    single: int = 0
    box: float = 0.0
    score: float = 0.0
    iou: list[float] = field(default_factory=list)

    @property
    def share(self) -> float:
        """Return the share of objects that both said, of all."""
        return 2 * self.paired / max(1, 2 * self.paired + self.single)

    def add(
        self, ours: Seen, theirs: Seen, *, pixels: float, score: float, iou: float = 0.0
    ) -> None:
        """Pair the objects of one image: of a class, no further apart than this.

        iou: that the masks of a pair have at least, where both have masks.
        """
        left = set(range(len(theirs.scores)))
        for n in np.argsort(-ours.scores, kind="stable"):
            near = [
                m
                for m in left
                if theirs.names[m] == ours.names[n]
                and abs(theirs.scores[m] - ours.scores[n]) <= score
                and np.abs(theirs.boxes[m] - ours.boxes[n]).max() <= pixels
                and (iou <= 0 or _masks_overlap(ours, n, theirs, m) >= iou)
            ]
            if not near:
                self.single += 1
                continue
            best = min(near, key=lambda m: float(np.abs(theirs.boxes[m] - ours.boxes[n]).max()))
            left.remove(best)
            self.paired += 1
            self.box = max(self.box, float(np.abs(theirs.boxes[best] - ours.boxes[n]).max()))
            self.score = max(self.score, float(abs(theirs.scores[best] - ours.scores[n])))
            if ours.bitmaps is not None and theirs.bitmaps is not None:
                self.iou.append(_masks_overlap(ours, n, theirs, best))
        self.single += len(left)


def _masks_overlap(one: Seen, n: int, other: Seen, m: int) -> float:
    if one.bitmaps is None or other.bitmaps is None:
        return 1.0
    return overlap(one.bitmaps[n], other.bitmaps[m])


def overlap(one: Bitmap, other: Bitmap) -> float:
    """Return the IoU of two bitmaps; 1 where both are empty."""
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 1.0
