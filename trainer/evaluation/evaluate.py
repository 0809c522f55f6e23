"""Average precision of a detector on a split of a dataset, as COCO defines it.

AP is the mean over IoU 0.50, 0.55, … 0.95, over 101 recall points, with at most 1000 objects per
frame and class (Lin et al., Microsoft COCO, 2014).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from trainer.calibration.serving import candidates
from trainer.data.dataset import Dataset
from trainer.detections import Detections
from trainer.detector import Detector, Progress
from trainer.errors import DatasetError
from trainer.evaluation.matching import WHOLE, Area, match_frame
from trainer.evaluation.mean_iou import mean_iou
from trainer.scores import Evaluation

CANDIDATE_SCORE = 0.01  # low, to include the tail of the precision-recall curve


def evaluate(
    detector: Detector,
    dataset: Dataset,
    *,
    split: str = "holdout",
    task: str = "boxes",
    batch: int = 8,
    min_score: float = CANDIDATE_SCORE,
    pixels: bool = False,
    report: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Run the detector on a split of the dataset and compute its metrics.

    split: of annotations.SPLITS. task: "boxes" or "masks", on which the IoU is computed. batch:
    frames at a time. pixels: also compute the mean IoU of pixels, for a detector of masks. Classes
    are matched by name; a class of the dataset that the detector lacks counts as missed, and
    detections of a class that only the detector has are ignored. Raises DatasetError when the split
    has no frame, or when masks are evaluated and an object has none.
    """
    began = time.monotonic()
    predictions = predict(
        detector, dataset, split=split, batch=batch, min_score=min_score, report=report
    )
    return evaluate_predictions(
        predictions,
        dataset,
        split=split,
        task=task,
        names=tuple(detector.labels),
        seconds=time.monotonic() - began,
        pixels=pixels,
    )


def predict(
    detector: Detector,
    dataset: Dataset,
    *,
    split: str = "holdout",
    batch: int = 8,
    min_score: float = CANDIDATE_SCORE,
    report: Callable[[Progress], None] | None = None,
) -> list[Detections]:
    """Run the detector on a split of the dataset; returns one Detections per frame, in order.

    min_score: in the network's raw scale, see calibration.serving.candidates. Raises DatasetError
    when the split has no frame.
    """
    images = dataset.split(split)
    if not images:
        raise DatasetError(dataset.path, f"split {split}", "has no image to evaluate on")
    predictions: list[Detections] = []
    began = time.monotonic()
    for start in range(0, len(images), batch):
        part = [dataset.read(image) for image in images[start : start + batch]]
        predictions += candidates(detector, part, min_score=min_score)
        if report is not None:
            done, spent = len(predictions), time.monotonic() - began
            left = spent / done * (len(images) - done)
            report(Progress("evaluate", done, len(images), left))
    return predictions


def evaluate_predictions(
    predictions: Sequence[Detections],
    dataset: Dataset,
    *,
    split: str,
    names: tuple[str, ...],
    task: str = "boxes",
    seconds: float = 0.0,
    area: Area = WHOLE,
    pixels: bool = False,
) -> Evaluation:
    """Compute the metrics of predictions, one Detections for each frame of the split, in order.

    names: the classes that the class_ids index. area: range of object areas that count, in square
    pixels; as in COCO, other objects are neither found nor missed, and unmatched detections outside
    the range are not false positives. pixels: also compute the mean IoU of pixels, for predictions
    with masks. Raises DatasetError like evaluate.
    """
    images = dataset.split(split)
    if len(predictions) != len(images):
        raise ValueError(
            f"predictions: expected {len(images)}, one per frame, found {len(predictions)}"
        )
    unmasked = [i.file_name for i in images if any(o.segmentation is None for o in i.objects)]
    if task == "masks" and unmasked:
        raise DatasetError(
            dataset.path, f"image {unmasked[0]}", "an object has no mask; evaluate boxes"
        )
    place = {name: n for n, name in enumerate(dataset.labels)}
    classes = np.array([place.get(name, -1) for name in names] or [-1], np.int64)
    frames = tuple(
        match_frame(dataset.labels, image, found, classes, task=task, area=area)
        for image, found in zip(images, predictions, strict=True)
    )
    return Evaluation(
        dataset=dataset.fingerprint,
        split=split,
        task=task,
        labels=tuple(dataset.labels),
        frames=frames,
        seconds=seconds,
        miou=mean_iou(predictions, dataset, split, names).get("miou") if pixels else None,
    )
