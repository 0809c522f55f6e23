"""Non-maximum suppression (NMS) of boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.detections import box_iou
from trainer.engines.limits import FLOOR


def suppress(
    boxes: NDArray[np.float32],
    class_ids: NDArray[np.int64],
    *,
    same: float,
    other: float = 1.0,
    most: int | None = None,
    scores: NDArray[np.float32] | None = None,
) -> NDArray[np.int64]:
    """Return the rows that remain, in order, at most `most` of them.

    boxes: (N, 4) x1 y1 x2 y2, best score first. same: IoU above which a box is suppressed by a
    better one of its class; other: the same across classes (1 disables it). scores: (N,); if given,
    `most` drops no object of at least FLOOR (see trainer.engines.limits).
    """
    order = np.arange(len(boxes))
    kept: list[int] = []
    # Row by row: the IoU of all pairs of a crowded frame would take gigabytes.
    while len(order) and (most is None or len(kept) < most or _counts(scores, order[0])):
        first, order = order[0], order[1:]
        kept.append(int(first))
        overlap = box_iou(boxes[first], boxes[order])[0]
        limit = np.where(class_ids[order] == class_ids[first], same, other)
        order = order[overlap <= limit]
    return np.array(kept, np.int64)


def _counts(scores: NDArray[np.float32] | None, row: int) -> bool:
    return scores is not None and float(scores[row]) >= FLOOR
