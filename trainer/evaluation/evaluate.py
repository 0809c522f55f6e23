"""Average precision of a detector on a part of a dataset, as COCO counts it.

AP is the mean over IoU 0.50, 0.55, … 0.95, over 101 recall points, with at most 1000 objects a
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

CANDIDATE_SCORE = 0.01  # low, so that the tail of the precision-recall curve is seen


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
    """Run the detector over a part of the dataset and count.

    split: of annotations.SPLITS. task: "boxes" or "masks", by what the IoU is measured.
    batch: frames at a time. pixels: count the mean IoU of pixels too, of a detector that gives
    masks. Classes are matched by name; a class of the dataset that the detector lacks is missed,
    and answers of a class that only the detector has are not judged. Raises DatasetError when the
    part has no frame, or when a mask is asked for and an object has none.
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
    """Run the detector over a part of the dataset; one answer a frame, in its order.

    min_score: in the scale of the network, before calibration, see calibration.serving.candidates.
    Raises DatasetError when the part has no frame.
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
    """Count answers that were given before, one for each frame of the part, in its order.

    names: the classes that the answers' class_ids point into. area: only objects of so many
    square pixels count; as COCO has it, others are neither found nor missed, and answers outside
    it that match nothing are not false. pixels: count the mean IoU of pixels too, of answers with
    masks. Raises DatasetError as evaluate does.
    """
    images = dataset.split(split)
    if len(predictions) != len(images):
        raise ValueError(f"answers: expected {len(images)}, one a frame, found {len(predictions)}")
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
