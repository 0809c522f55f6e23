"""Average precision of a detector on a part of a dataset, as COCO counts it.

AP is the mean over IoU 0.50, 0.55, … 0.95, over 101 recall points, with at most 100 objects a
frame and class (Lin et al., Microsoft COCO, 2014). We match by ourselves on pycocotools' IoU
because the matches of every frame are kept: AP on any resample of the frames is then a sum, not a
new evaluation, which the gate's paired bootstrap needs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.annotations import AnnotatedImage, AnnotatedObject
from trainer.dataset import Dataset
from trainer.detections import Detections
from trainer.detector import Detector, Progress
from trainer.errors import DatasetError
from trainer.scores import IOU_THRESHOLDS, Evaluation, FrameMatches

MAX_DETECTIONS = 100
CANDIDATE_SCORE = 0.01  # low, so that the tail of the precision-recall curve is seen


def evaluate(
    detector: Detector,
    dataset: Dataset,
    *,
    split: str = "holdout",
    task: str = "boxes",
    batch: int = 8,
    min_score: float = CANDIDATE_SCORE,
    report: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Run the detector over a part of the dataset and count.

    split: of annotations.SPLITS. task: "boxes" or "masks", by what the IoU is measured.
    batch: frames at a time. Classes are matched by name; a class of the dataset that the
    detector lacks is missed, one that only the detector has counts as false wherever it answers
    within a name of the dataset only (others are not judged). Raises DatasetError when the part
    has no frame, or when a mask is asked for and an object has none.
    """
    images = dataset.split(split)
    if not images:
        raise DatasetError(dataset.path, f"split {split}", "has no image to evaluate on")
    answers: list[Detections] = []
    began = time.monotonic()
    for start in range(0, len(images), batch):
        part = [dataset.read(image) for image in images[start : start + batch]]
        answers += detector.detect(part, min_score=min_score)
        if report is not None:
            done, spent = len(answers), time.monotonic() - began
            left = spent / done * (len(images) - done)
            report(Progress("evaluate", done, len(images), left))
    return evaluate_answers(
        answers,
        dataset,
        split=split,
        task=task,
        names=tuple(detector.labels),
        seconds=time.monotonic() - began,
    )


def evaluate_answers(
    answers: Sequence[Detections],
    dataset: Dataset,
    *,
    split: str,
    names: tuple[str, ...],
    task: str = "boxes",
    seconds: float = 0.0,
) -> Evaluation:
    """Count answers that were given before, one for each frame of the part, in its order.

    names: the classes that the answers' class_ids point into.
    """
    images = dataset.split(split)
    if len(answers) != len(images):
        raise ValueError(f"answers: expected {len(images)}, one a frame, found {len(answers)}")
    unmasked = [i.file_name for i in images if any(o.segmentation is None for o in i.objects)]
    if task == "masks" and unmasked:
        raise DatasetError(
            dataset.path, f"image {unmasked[0]}", "an object has no mask; evaluate boxes"
        )
    place = {name: n for n, name in enumerate(dataset.labels)}
    classes = np.array([place.get(name, -1) for name in names] or [-1], np.int64)
    frames = tuple(
        _match_frame(dataset, image, answer, classes, task)
        for image, answer in zip(images, answers, strict=True)
    )
    return Evaluation(
        dataset=dataset.fingerprint,
        split=split,
        task=task,
        labels=tuple(dataset.labels),
        frames=frames,
        seconds=seconds,
    )


def _match_frame(
    dataset: Dataset,
    image: AnnotatedImage,
    answer: Detections,
    classes: NDArray[np.int64],
    task: str,
) -> FrameMatches:
    found_classes = classes[answer.class_ids]
    rows: list[tuple[NDArray[Any], ...]] = []
    for class_id in range(len(dataset.labels)):
        order = np.flatnonzero(found_classes == class_id)
        order = order[np.argsort(-answer.scores[order], kind="stable")][:MAX_DETECTIONS]
        truth = [o for o in image.objects if o.class_id == class_id]
        if not len(order):
            continue
        crowd = np.array([o.crowd for o in truth], np.bool_)
        iou = _iou(image, answer, order, truth, task=task)
        matched, ignored = match(iou, crowd)
        rows.append((np.full(len(order), class_id), answer.scores[order], matched, ignored))
    counted = [o.class_id for o in image.objects if not o.crowd]
    levels = len(IOU_THRESHOLDS)
    return FrameMatches(
        file_name=image.file_name,
        objects=np.bincount(counted, minlength=len(dataset.labels)).astype(np.int64),
        class_ids=np.concatenate([r[0] for r in rows] or [np.zeros(0)]).astype(np.int64),
        scores=np.concatenate([r[1] for r in rows] or [np.zeros(0)]).astype(np.float64),
        matched=np.concatenate([r[2] for r in rows] or [np.zeros((0, levels), np.bool_)]),
        ignored=np.concatenate([r[3] for r in rows] or [np.zeros((0, levels), np.bool_)]),
    )


def match(
    iou: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Give each answer, best score first, the free object it covers best, at every threshold.

    iou: (answers, objects). crowd: (objects,). Returns matched and ignored, both
    (answers, thresholds): matched an object that counts; ignored for lying in a crowd region.
    """
    answers, objects = iou.shape
    levels = len(IOU_THRESHOLDS)
    matched = np.zeros((answers, levels), np.bool_)
    ignored = np.zeros((answers, levels), np.bool_)
    if not objects:
        return matched, ignored
    thresholds = np.minimum(np.array(IOU_THRESHOLDS), 1 - 1e-10)
    free = np.repeat(~crowd[None], levels, axis=0)  # (levels, objects)
    rows = np.arange(levels)
    for n in range(answers):
        # COCO takes the later of equal overlaps; argmax of the reversed row does the same.
        value = np.where(free, iou[n], -1.0)
        best = objects - 1 - np.argmax(value[:, ::-1], axis=1)
        hit = value[rows, best] >= thresholds
        matched[n] = hit
        free[rows[hit], best[hit]] = False
        if crowd.any():
            ignored[n] = ~hit & (iou[n, crowd].max() >= thresholds)
    return matched, ignored


def _iou(
    image: AnnotatedImage,
    answer: Detections,
    order: NDArray[np.int64],
    truth: Sequence[AnnotatedObject],
    *,
    task: str,
) -> NDArray[np.float64]:
    from pycocotools import mask as coco

    if not truth:
        return np.zeros((len(order), 0))
    crowd = [int(o.crowd) for o in truth]
    found: Sequence[Any] | NDArray[Any]
    marked: Sequence[Any] | NDArray[Any]
    if task == "masks":
        marked = [_truth_mask(image, o) for o in truth]
        found = [_answer_mask(answer, int(n), image) for n in order]
    else:
        found = _with_sizes(answer.boxes[order].astype(np.float64))
        marked = _with_sizes(np.array([o.box for o in truth], np.float64))
    return np.asarray(coco.iou(found, marked, crowd), np.float64).reshape(len(order), len(truth))


def _with_sizes(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _answer_mask(answer: Detections, row: int, image: AnnotatedImage) -> Mapping[str, Any]:
    from pycocotools import mask as coco

    if answer.masks is None:
        raise ValueError(f"{image.file_name}: the detector gives no masks; evaluate boxes")
    full = np.zeros((image.height, image.width), np.uint8, order="F")
    mask = answer.masks[row]
    height, width = mask.bitmap.shape
    full[mask.top : mask.top + height, mask.left : mask.left + width] = mask.bitmap
    return dict(coco.encode(full))


def _truth_mask(image: AnnotatedImage, item: AnnotatedObject) -> Mapping[str, Any]:
    from pycocotools import mask as coco

    bitmap = item.bitmap(image.height, image.width)
    return dict(coco.encode(np.asfortranarray(bitmap.astype(np.uint8))))
