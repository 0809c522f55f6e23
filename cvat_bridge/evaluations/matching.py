"""The answers of a frame against its objects, by boxes, so that any threshold can be asked later.

Answers take objects by falling score, so those below a threshold never change what those above it
took: one matching serves every threshold. The kinds of error are those of Bolya et al., TIDE: A
General Toolbox for Identifying Object Detection Errors (ECCV 2020), localisation from IoU 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]
RIGHT_IOU, NEAR_IOU = 0.5, 0.1
MOST_ANSWERS = 300  # a frame, and three for each object, as evaluation counts


@dataclass(frozen=True)
class FrameMatches:
    """N objects and M answers of a frame, answers by falling score.

    Of objects, (N,): found, other, loose: the answer that is right, is of another class in the
    object's place, or is of its class and lies loosely on it; -1 for none. Of answers: boxes
    (M, 4), class_ids, scores (M,), right, wrong, near: the object taken in that way, -1 for none,
    iou: with that object, 0 for none.
    """

    found: IntArray
    other: IntArray
    loose: IntArray
    boxes: FloatArray
    class_ids: IntArray
    scores: FloatArray
    right: IntArray
    wrong: IntArray
    near: IntArray
    iou: FloatArray


def match_boxes(
    truth: FloatArray,
    truth_ids: IntArray,
    crowd: FloatArray,
    boxes: FloatArray,
    class_ids: IntArray,
    scores: FloatArray,
) -> FrameMatches:
    """Match a frame. truth: (N, 4), crowd: (K, 4) regions whose objects nobody counted.

    Answers that lie in a crowd and are not right are left out. Of equal overlaps an answer takes
    the first object.
    """
    order = np.argsort(-scores, kind="stable")[: max(MOST_ANSWERS, 3 * len(truth))]
    boxes, class_ids, scores = boxes[order].astype(float), class_ids[order], scores[order]
    overlap = iou_of(boxes, truth)
    same = class_ids[:, None] == truth_ids[None]
    right, found = _take(np.where(same, overlap, 0.0), RIGHT_IOU, np.full(len(boxes), True))
    free = right < 0
    wrong, other = _take(np.where(same, 0.0, overlap), RIGHT_IOU, free)
    near, loose = _take(
        np.where(same & (overlap < RIGHT_IOU), overlap, 0.0), NEAR_IOU, free & (wrong < 0)
    )
    taken = np.maximum(np.maximum(right, wrong), near)
    rows = np.arange(len(boxes))
    value = np.where(taken >= 0, overlap[rows, taken], 0.0) if len(truth) else np.zeros(len(boxes))
    kept = (right >= 0) | ~_inside(boxes, crowd)
    place = np.cumsum(kept) - 1
    taken_by = [
        np.where(one >= 0, place[one], -1) if len(place) else one
        for one in _only((found, other, loose), kept)
    ]
    return FrameMatches(
        taken_by[0],
        taken_by[1],
        taken_by[2],
        boxes[kept],
        class_ids[kept],
        scores[kept],
        right[kept],
        wrong[kept],
        near[kept],
        value[kept],
    )


def iou_of(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the intersection over union of every pair of boxes, (N, M)."""
    shared, areas, others = _shared(first, second)
    union = areas[:, None] + others[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _shared(
    first: FloatArray, second: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    one, two = first.reshape(-1, 4).astype(float), second.reshape(-1, 4).astype(float)
    size = np.minimum(one[:, None, 2:], two[None, :, 2:]) - np.maximum(
        one[:, None, :2], two[None, :, :2]
    )
    areas, others = (np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (one, two))
    return np.prod(np.maximum(size, 0), axis=2), areas, others


def _inside(boxes: FloatArray, crowd: FloatArray) -> NDArray[np.bool_]:
    """Which boxes lie by half in a crowd region."""
    if not len(crowd):
        return np.zeros(len(boxes), np.bool_)
    shared, areas, _ = _shared(boxes, crowd)
    return np.asarray((shared >= 0.5 * areas[:, None]).any(axis=1), np.bool_)


def _take(
    overlap: FloatArray, least: float, candidates: NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """Return, for each candidate answer in order, the free object that it overlaps most."""
    answers, objects = overlap.shape
    by_answer, by_object = np.full(answers, -1, np.int64), np.full(objects, -1, np.int64)
    if not objects:
        return by_answer, by_object
    for n in np.flatnonzero(candidates & (overlap.max(axis=1) >= least)):
        value = np.where(by_object < 0, overlap[n], -1.0)
        best = int(np.argmax(value))
        if value[best] >= least:
            by_answer[n], by_object[best] = best, n
    return by_answer, by_object


def _only(columns: tuple[IntArray, ...], kept: NDArray[np.bool_]) -> tuple[IntArray, ...]:
    """Strike out answers that are not kept."""
    return tuple(
        np.where((one >= 0) & kept[np.maximum(one, 0)], one, -1) if len(kept) else one
        for one in columns
    )
