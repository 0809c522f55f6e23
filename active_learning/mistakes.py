"""Find likely label mistakes of a frame: objects overlooked, swapped or badly placed.

The scores are ObjectLab's (Tkachenko, Thyagarajan and Mueller, "ObjectLab: automated diagnosis of
mislabeled images in object detection data", 2023, arXiv 2309.00832), computed by cleanlab, which
is an optional extra of this distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from active_learning.errors import InvalidPoolError
from active_learning.pool import FloatArray, IntArray

OVERLOOKED, SWAPPED, BADLY_PLACED = "overlooked", "swapped", "badly placed"


@dataclass(frozen=True, eq=False)
class FrameToCheck:
    """The labels of a frame, and the predictions of a model that was not trained on it.

    boxes: (L, 4) x1 y1 x2 y2 in pixels, class_ids: (L,), as labelled. predicted_boxes: (P, 4),
    predicted_ids: (P,), predicted_scores: (P,) in 0..1, from an out-of-fold model: one trained on
    the frame would repeat its label mistakes.
    """

    id: str
    boxes: FloatArray
    class_ids: IntArray
    predicted_boxes: FloatArray
    predicted_ids: IntArray
    predicted_scores: FloatArray


@dataclass(frozen=True, eq=False)
class Mistake:
    """One label to review.

    kind: "overlooked" (box and class_id are the model's, label is None), "swapped" or "badly
    placed" (box and class_id are the label's, label is its row in the frame). score: 0..1, lower is
    more likely a mistake.
    """

    frame_id: str
    kind: str
    label: int | None
    box: tuple[float, float, float, float]
    class_id: int
    score: float


def likely_mistakes(
    frames: Sequence[FrameToCheck],
    *,
    classes: int,
    below: float = 0.5,
    sure_from: float = 0.5,
) -> tuple[Mistake, ...]:
    """Return the labels with a score under `below`, the most likely mistakes first.

    classes: number of classes. sure_from: predictions from this score count against a label
    (ObjectLab uses 0.95; detectors with few labels are rarely that confident). Each kind has its
    own scale, so kinds are ranked separately and then interleaved, best of each first. Raises
    InvalidPoolError on arrays that do not match and ImportError, with what to install, when
    cleanlab is missing.
    """
    if not 0 <= sure_from <= 1 or not 0 <= below <= 1:
        raise InvalidPoolError(
            f"sure_from and below must lie in 0..1, found {sure_from} and {below}"
        )
    for frame in frames:
        _check(frame, classes)
    if not frames:
        return ()
    scores = _scores(frames, classes, sure_from)
    ranked = []
    for kind, per_frame in scores.items():
        found = [
            _mistake(frame, kind, row, float(score))
            for frame, row_scores in zip(frames, per_frame, strict=True)
            for row, score in enumerate(row_scores)
            if np.isfinite(score) and score < below
        ]
        found.sort(key=lambda mistake: (mistake.score, mistake.frame_id, mistake.box))
        ranked += [(place, mistake.score, mistake) for place, mistake in enumerate(found)]
    ranked.sort(key=lambda entry: (entry[0], entry[1]))
    return tuple(mistake for _, _, mistake in ranked)


def _scores(
    frames: Sequence[FrameToCheck], classes: int, sure_from: float
) -> dict[str, list[FloatArray]]:
    try:
        from cleanlab.object_detection import rank
    except ImportError as missing:
        raise ImportError(
            "label mistakes are scored by cleanlab, which is not installed: "
            "pip install 'cvat-active-learning[mistakes]'"
        ) from missing
    data = {
        "labels": [_labels(frame) for frame in frames],
        "predictions": [_predictions(frame, classes) for frame in frames],
    }
    return {
        OVERLOOKED: rank.compute_overlooked_box_scores(
            **data, high_probability_threshold=sure_from
        ),
        SWAPPED: rank.compute_swap_box_scores(**data, high_probability_threshold=sure_from),
        BADLY_PLACED: rank.compute_badloc_box_scores(**data, low_probability_threshold=sure_from),
    }


def _labels(frame: FrameToCheck) -> dict[str, Any]:
    return {"bboxes": np.asarray(frame.boxes, float), "labels": np.asarray(frame.class_ids)}


def _predictions(frame: FrameToCheck, classes: int) -> Any:
    rows = np.column_stack([frame.predicted_boxes, frame.predicted_scores]).astype(float)
    answer = np.empty(classes, object)
    for column in range(classes):
        answer[column] = rows[np.asarray(frame.predicted_ids) == column]
    return answer


def _mistake(frame: FrameToCheck, kind: str, row: int, score: float) -> Mistake:
    if kind == OVERLOOKED:
        # cleanlab orders predictions by class.
        order = np.argsort(frame.predicted_ids, kind="stable")
        place = int(order[row])
        box, class_id, label = frame.predicted_boxes[place], frame.predicted_ids[place], None
    else:
        box, class_id, label = frame.boxes[row], frame.class_ids[row], row
    left, top, right, bottom = (float(value) for value in box)
    return Mistake(frame.id, kind, label, (left, top, right, bottom), int(class_id), score)


def _check(frame: FrameToCheck, classes: int) -> None:
    for name, boxes, ids in (
        ("boxes", frame.boxes, frame.class_ids),
        ("predicted_boxes", frame.predicted_boxes, frame.predicted_ids),
    ):
        if boxes.shape != (len(ids), 4):
            raise InvalidPoolError(
                f"frame {frame.id!r}: {name} must be ({len(ids)}, 4), found {boxes.shape}"
            )
        if not np.isfinite(boxes).all():
            raise InvalidPoolError(
                f"frame {frame.id!r}: {name} contains a value that is not finite"
            )
        if len(ids) and not (np.min(ids) >= 0 and np.max(ids) < classes):
            raise InvalidPoolError(f"frame {frame.id!r}: a class id is outside 0..{classes - 1}")
    scores = frame.predicted_scores
    if scores.shape != (len(frame.predicted_ids),) or not np.isfinite(scores).all():
        raise InvalidPoolError(
            f"frame {frame.id!r}: predicted_scores must be ({len(frame.predicted_ids)},) and finite"
        )
