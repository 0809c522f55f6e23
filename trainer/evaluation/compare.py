"""Compare two models on the same frames: by class, by object size, and by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset
from trainer.detections import Detections
from trainer.detector import Progress
from trainer.engines import load
from trainer.errors import ComparisonError
from trainer.evaluation.evaluate import evaluate_predictions, predict
from trainer.evaluation.matching import WHOLE, Area
from trainer.evaluation.mean_iou import of_pixels
from trainer.scores import Evaluation, FrameMatches

# COCO's size ranges, in square pixels of the image.
SIZES: Mapping[str, Area] = {
    "small": (0, 32**2),
    "medium": (32**2, 96**2),
    "large": (96**2, 1e10),
}


@dataclass(frozen=True)
class ComparedModel:
    """One model's predictions. sizes: the evaluation restricted to the objects of each of SIZES.

    shown: (C,) the score from which people see a detection, per class of the dataset. unknown:
    classes of the dataset that the model lacks.
    """

    path: Path
    version: str
    predictions: tuple[Detections, ...]
    names: tuple[str, ...]
    evaluation: Evaluation
    sizes: Mapping[str, Evaluation]
    shown: NDArray[np.float64]
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the metrics as JSON values: overall, by class, by size."""
        overall = self.evaluation.overall
        return {
            "bundle": str(self.path),
            "version": self.version,
            "ap": overall.ap,
            "ap50": overall.ap50,
            **({} if self.evaluation.miou is None else {"miou": self.evaluation.miou}),
            "class_ap": dict(overall.class_ap),
            "class_ap50": dict(overall.class_ap50),
            "size_ap": {name: found.ap for name, found in self.sizes.items()},
            "size_objects": {n: sum(e.objects.values()) for n, e in self.sizes.items()},
            "unknown_classes": list(self.unknown),
        }


@dataclass(frozen=True)
class FrameGap:
    """The quality of each model on a frame, as people see it: F1 over IoU 0.50:0.95, 0..1."""

    file_name: str
    first: float
    second: float


def task_of(bundles: Sequence[Bundle]) -> str:
    """Return the task in which the models can be compared: "masks" only if all predict masks.

    Raises ComparisonError for a model that is not a detector.
    """
    tasks = [bundle.card.task for bundle in bundles]
    wrong = [
        f"{b.path} has task {b.card.task!r}, and only detectors can be compared"
        for b in bundles
        if b.card.task not in ("boxes", "masks")
    ]
    if wrong:
        raise ComparisonError(wrong)
    return "masks" if set(tasks) == {"masks"} else "boxes"


def evaluate_model(
    bundle: Bundle,
    dataset: Dataset,
    *,
    split: str,
    task: str,
    report: Callable[[Progress], None] | None = None,
) -> ComparedModel:
    """Evaluate a model on a split of the dataset.

    Raises ComparisonError when it has none of the dataset's classes, DatasetError when the split
    has no frame.
    """
    known = set(bundle.card.labels.names)
    unknown = tuple(name for name in dataset.labels if name not in known)
    if len(unknown) == len(dataset.labels):
        ours, theirs = _few(bundle.card.labels.names), _few(dataset.labels.names)
        mismatch = f"{bundle.path} has {ours}, {dataset.path} has {theirs}: no common class"
        raise ComparisonError([f"{mismatch}; give the model's classes the names that the data has"])
    predictions = tuple(predict(load(bundle), dataset, split=split, report=report))
    names = tuple(bundle.card.labels)

    def count(area: Area, *, pixels: bool = False) -> Evaluation:
        return evaluate_predictions(
            predictions, dataset, split=split, names=names, task=task, area=area, pixels=pixels
        )

    return ComparedModel(
        path=bundle.path,
        version=bundle.version,
        predictions=predictions,
        names=names,
        evaluation=count(WHOLE, pixels=task == "masks" and of_pixels(bundle.card)),
        sizes={name: count(area) for name, area in SIZES.items()},
        shown=np.array([bundle.card.min_score_of(name) for name in dataset.labels]),
        unknown=unknown,
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def frame_gaps(first: ComparedModel, second: ComparedModel) -> list[FrameGap]:
    """Return all frames, those on which the two differ most first."""
    rows = [
        FrameGap(a.file_name, _f1(a, first.shown), _f1(b, second.shown))
        for a, b in zip(first.evaluation.frames, second.evaluation.frames, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(row.first - row.second), row.file_name))


def _f1(frame: FrameMatches, shown: NDArray[np.float64]) -> float:
    seen = frame.scores >= shown[frame.class_ids]
    right = frame.matched[seen].sum(axis=0)
    wrong = (~frame.matched[seen] & ~frame.ignored[seen]).sum(axis=0)
    total = 2 * right + wrong + (int(frame.objects.sum()) - right)
    # No detections on a frame without objects is a perfect result.
    return float(np.where(total > 0, 2 * right / np.maximum(total, 1), 1.0).mean())
