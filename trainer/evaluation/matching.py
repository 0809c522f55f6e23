"""Match the detections of a frame with its objects, as COCO does.

We match ourselves, on pycocotools' IoU, to keep the matches of every frame: average precision on
any resample of the frames is then a sum instead of a new evaluation, which the gate's paired
bootstrap needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.data.annotations import AnnotatedImage, AnnotatedObject, encode_mask
from trainer.data.labels import LabelMap
from trainer.detections import Detections, box_iou
from trainer.scores import IOU_THRESHOLDS, FrameMatches

Area = tuple[float, float]  # minimum and maximum, square pixels of the image
# Detections per class that are always counted, and further ones per object. Three per object
# suffice to find them all, and bound the cost of a network with many weak detections.
MAX_DETECTIONS, PER_OBJECT = 1000, 3
WHOLE: Area = (0.0, math.inf)


def match_frame(
    labels: LabelMap,
    image: AnnotatedImage,
    detections: Detections,
    classes: NDArray[np.int64],
    *,
    task: str = "boxes",
    area: Area = WHOLE,
) -> FrameMatches:
    """Match the detections of a frame with its objects.

    classes: for each class of the detector, its index in labels, or -1. task: "boxes" or "masks",
    on which the IoU is computed. area: objects of other sizes do not count.
    """
    found_classes = classes[detections.class_ids]
    rows: list[tuple[NDArray[Any], ...]] = []
    for class_id in range(len(labels)):
        order = np.flatnonzero(found_classes == class_id)
        truth = [o for o in image.objects if o.class_id == class_id]
        most = max(MAX_DETECTIONS, PER_OBJECT * len(truth))
        order = order[np.argsort(-detections.scores[order], kind="stable")][:most]
        if not len(order):
            continue
        crowd = np.array([o.crowd for o in truth], np.bool_)
        other = np.array([not _inside(area_of(o), area) for o in truth], np.bool_)
        iou = _iou(image, detections, order, truth, task=task)
        matched, ignored = match(iou, crowd, other)
        if area != WHOLE:
            strange = [not _inside(_answer_area(detections, int(n), task), area) for n in order]
            ignored |= np.array(strange)[:, None] & ~matched
        rows.append((np.full(len(order), class_id), detections.scores[order], matched, ignored))
    counted = [o.class_id for o in image.objects if not o.crowd and _inside(area_of(o), area)]
    levels = len(IOU_THRESHOLDS)
    return FrameMatches(
        file_name=image.file_name,
        objects=np.bincount(counted, minlength=len(labels)).astype(np.int64),
        class_ids=np.concatenate([r[0] for r in rows] or [np.zeros(0)]).astype(np.int64),
        scores=np.concatenate([r[1] for r in rows] or [np.zeros(0)]).astype(np.float64),
        matched=np.concatenate([r[2] for r in rows] or [np.zeros((0, levels), np.bool_)]),
        ignored=np.concatenate([r[3] for r in rows] or [np.zeros((0, levels), np.bool_)]),
    )


def match(
    iou: NDArray[np.float64], crowd: NDArray[np.bool_], other: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Assign each detection, best score first, to the free object of highest IoU, per threshold.

    iou: (detections, objects). crowd, other: (objects,), crowd regions, and objects that do not
    count because of their size. Returns matched and ignored, both (detections, thresholds): matched
    with an object that counts; ignored because of a crowd, or an object that does not count.
    """
    predictions, objects = iou.shape
    levels = len(IOU_THRESHOLDS)
    matched = np.zeros((predictions, levels), np.bool_)
    ignored = np.zeros((predictions, levels), np.bool_)
    if not objects:
        return matched, ignored
    void = crowd if other is None else crowd | other
    thresholds = np.minimum(np.array(IOU_THRESHOLDS), 1 - 1e-10)
    free = np.repeat(~void[None], levels, axis=0)  # (levels, objects)
    spare = np.repeat(
        void[None], levels, axis=0
    )  # an object of other size matches one detection only
    for n in range(predictions):
        hit = _take(iou[n], free, thresholds)
        matched[n] = hit
        if void.any():
            ignored[n] = _take(iou[n], spare, thresholds, allowed=~hit, kept=crowd)
    return matched, ignored


def _take(
    iou: NDArray[np.float64],
    free: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    *,
    allowed: NDArray[np.bool_] | None = None,
    kept: NDArray[np.bool_] | None = None,
) -> NDArray[np.bool_]:
    """Take the best free object at each level if it overlaps enough; return where, (levels,).

    free: (levels, objects); taken objects are removed from it, except those in `kept`: crowds.
    """
    # COCO takes the last of equal overlaps; argmax of the reversed row does the same.
    value = np.where(free, iou, -1.0)
    best = free.shape[1] - 1 - np.argmax(value[:, ::-1], axis=1)
    rows = np.arange(len(free))
    hit: NDArray[np.bool_] = value[rows, best] >= thresholds
    if allowed is not None:
        hit &= allowed
    struck = hit if kept is None else hit & ~kept[best]
    free[rows[struck], best[struck]] = False
    return hit


def area_of(item: AnnotatedObject) -> float:
    """Return an object's area in square pixels: as its row states, or that of its box."""
    stated = item.extra.get("area")
    if isinstance(stated, (int, float)) and stated > 0:
        return float(stated)
    x1, y1, x2, y2 = item.box
    return (x2 - x1) * (y2 - y1)


def _answer_area(detections: Detections, row: int, task: str) -> float:
    if task == "masks" and detections.masks is not None:
        return float(detections.masks[row].bitmap.sum())
    x1, y1, x2, y2 = (float(v) for v in detections.boxes[row])
    return (x2 - x1) * (y2 - y1)


def _inside(value: float, area: Area) -> bool:
    return area[0] <= value <= area[1]


def _iou(
    image: AnnotatedImage,
    detections: Detections,
    order: NDArray[np.int64],
    truth: Sequence[AnnotatedObject],
    *,
    task: str,
) -> NDArray[np.float64]:
    from pycocotools import mask as coco

    if not truth:
        return np.zeros((len(order), 0))
    crowd = [int(o.crowd) for o in truth]
    if task != "masks":
        return box_iou(detections.boxes[order], [o.box for o in truth], crowd=crowd)
    marked = [_truth_mask(image, o) for o in truth]
    found = [_answer_mask(detections, int(n), image) for n in order]
    return np.asarray(coco.iou(found, marked, crowd), np.float64).reshape(len(order), len(truth))


def _answer_mask(detections: Detections, row: int, image: AnnotatedImage) -> Mapping[str, Any]:
    if detections.masks is None:
        raise ValueError(f"{image.file_name}: the detector predicts no masks; evaluate boxes")
    return encode_mask(detections.masks[row].on((image.height, image.width)))


def _truth_mask(image: AnnotatedImage, item: AnnotatedObject) -> Mapping[str, Any]:
    return encode_mask(item.bitmap(image.height, image.width))
