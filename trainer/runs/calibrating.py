"""The last step of a fit: calibrate the new model's scores on the val part."""

from __future__ import annotations

from collections.abc import Callable

from trainer.bundles.bundle import Bundle, revised
from trainer.calibration.learn import MIN_DETECTIONS, learn
from trainer.calibration.score_map import CALIBRATION
from trainer.calibration.worth import BOX_SECONDS, card_thresholds, fixed_share
from trainer.data.dataset import Dataset
from trainer.detector import Progress
from trainer.engines import load
from trainer.evaluation.evaluate import evaluate_predictions, predict

SPLIT = "val"


def calibrate(bundle: Bundle, dataset: Dataset, on_progress: Callable[[Progress], None]) -> Bundle:
    """Learn the calibration of a bundle without one and write it into its card.

    The card's min_score becomes the probability from which showing a detection saves time. Without
    a val part, or with too few detections on it, the bundle stays unchanged and a note gives the
    reason. Calibration changes the bundle's version, since it changes the scores.
    """
    frames = dataset.split(SPLIT)
    objects = sum(len(image.objects) for image in frames)
    if not objects:
        lacks = "has no object" if frames else "has no frame"
        _note(on_progress, f"the scores are not calibrated: the val part {lacks}")
        return bundle

    def step(progress: Progress) -> None:
        on_progress(Progress("calibrate", progress.done, progress.total, progress.seconds_left))

    drawn = all(o.segmentation is not None for image in frames for o in image.objects)
    predictions = predict(load(bundle), dataset, split=SPLIT, report=step)
    found = evaluate_predictions(
        predictions,
        dataset,
        split=SPLIT,
        names=tuple(bundle.card.labels),
        task="masks" if drawn and bundle.card.task == "masks" else "boxes",
    )
    maps = learn(found)
    if maps is None:
        count = sum(len(f.scores) for f in found.frames)
        reason = f"{count} detections in the val part, {MIN_DETECTIONS} are needed"
        _note(on_progress, f"the scores are not calibrated: {reason}")
        return bundle
    common = round(BOX_SECONDS.worth_from(fixed_share(maps.pooled)), 3)
    each = card_thresholds(maps, bundle.card.labels)
    return revised(
        bundle,
        extra={**bundle.card.extra, CALIBRATION: maps.to_json()},
        min_score=common,
        class_min_score={name: score for name, score in each.items() if score != common},
    )


def _note(on_progress: Callable[[Progress], None], text: str) -> None:
    on_progress(Progress("note", 0, 0, note=text))
