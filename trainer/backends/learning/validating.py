"""Validation during a fit: the exported model is evaluated on the val part."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from trainer.backends.learning.loop import Validator
from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset
from trainer.detections import Detections
from trainer.detector import Progress
from trainer.engines import load
from trainer.evaluation.evaluate import evaluate_predictions, predict
from trainer.evaluation.samples import write_samples

_FOLDER = "validation"
# Predictions of each frame, dataset, split, and class names of the predictions → metrics.
ExtraFigures = Callable[[Sequence[Detections], Dataset, str, Sequence[str]], Mapping[str, float]]


def validator(
    dataset: Dataset,
    *,
    run_dir: Path,
    save: Callable[[Path, Mapping[str, Tensor]], None],
    export: Callable[..., Bundle],
    report: Callable[[Progress], None],
    task: str = "boxes",
    more: ExtraFigures | None = None,
) -> Validator | None:
    """Return a function that evaluates weights on the val part, or None when there is none.

    save: writes a checkpoint of given weights. export: Backend.export. more: further metrics of the
    predictions. Each validation saves a picture of predictions in run_dir/samples and is reported
    as a step of stage "val".
    """
    if not dataset.split("val"):
        return None

    def validate(weights: Mapping[str, Tensor], number: int, of: int) -> Mapping[str, float]:
        folder = run_dir / _FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            checkpoint = folder / "checkpoint"
            save(checkpoint, weights)
            detector = load(export(checkpoint, folder / "bundle", card={}))
            names = detector.labels.names
            predictions = predict(detector, dataset, split="val")
            found = evaluate_predictions(predictions, dataset, split="val", names=names, task=task)
            path = run_dir / "samples" / f"{number:04d}.png"
            picture = write_samples(detector, dataset, path, split="val", predictions=predictions)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        figures: dict[str, Any] = {"ap": found.overall.ap or 0.0, "ap50": found.overall.ap50 or 0.0}
        if more is not None:
            figures |= more(predictions, dataset, "val", names)
        report(Progress("val", number, max(number, of), None, figures, picture))
        return figures

    return validate
