"""Run a fit from the first check to the checkpoint, for every backend that uses TrainingLoop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import Tensor, nn

from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings, TrainingLoop
from trainer.backends.learning.memory import check_image_memory
from trainer.backends.learning.starting.weights import save_weights
from trainer.backends.learning.state import disk_errors
from trainer.backends.learning.validating import ExtraFigures, validator
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import DatasetError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from trainer.bundles.bundle import Bundle
    from trainer.data.annotations import AnnotatedImage

CHECKPOINT = "checkpoint.npz"
Sample = TypeVar("Sample")


@dataclass(frozen=True)
class TrainingRecipe(Generic[Sample]):
    """What a backend supplies for a fit.

    network: to train. notes: a sentence for each part of the base that was not loaded. total:
    number of steps. optimizer: settings of the optimiser. settings: the backend's own. described:
    what is needed to rebuild the network from a checkpoint, besides its labels and input size.
    load_task: reads the train part and calls its argument with the number of frames read so far.
    export: Backend.export. task: "boxes" or "masks", how val is evaluated. figures: further metrics
    of a validation; see learning.validating.
    """

    network: nn.Module
    notes: Sequence[str]
    total: int
    optimizer: OptimizerSettings
    settings: DataclassInstance
    described: Mapping[str, Any]
    load_task: Callable[[Callable[[int], None]], BatchesAndLoss[Sample]]
    export: Callable[..., Bundle]
    task: str = "boxes"
    figures: ExtraFigures | None = None


def train_part(dataset: Dataset) -> tuple[AnnotatedImage, ...]:
    """Return the training frames; DatasetError when they hold nothing to train on."""
    images = dataset.split("train")
    if not images:
        raise DatasetError(dataset.path, "split train", "has no image to train on")
    if not any(not o.crowd for image in images for o in image.objects):
        raise DatasetError(dataset.path, "split train", "has no object to train on")
    return images


def train(
    recipe: TrainingRecipe[Any],
    dataset: Dataset,
    config: FitConfig,
    *,
    run_dir: Path,
    report: Callable[[Progress], None],
) -> Path:
    """Train, or resume from run_dir, and return the checkpoint; see Backend.fit."""
    images = train_part(dataset)
    run_dir.mkdir(parents=True, exist_ok=True)
    loop = TrainingLoop(
        dataset,
        config,
        recipe.network,
        run_dir=run_dir,
        total=recipe.total,
        per_epoch=math.ceil(len(images) / config.batch_size),
        optimizer=recipe.optimizer,
    )
    meta = {
        **recipe.described,
        "labels": list(dataset.labels),
        "image_size": list(config.image_size),
        "notes": list(recipe.notes),
        "settings": config.to_json() | {"extra": dataclasses.asdict(recipe.settings)},
        "fingerprint": dataset.fingerprint,
    }

    def save(path: Path, weights: Mapping[str, Tensor]) -> None:
        with disk_errors(path.with_suffix(".part"), config.backend):
            save_weights(path, weights, {**meta, **loop.meta})

    if not loop.ended:
        for note in recipe.notes:
            report(Progress("note", 0, 0, note=note))
        check_image_memory(config.backend, len(images), config.image_size)
        task = recipe.load_task(lambda n: report(Progress("read", n, len(images))))
        validate = validator(
            dataset,
            run_dir=run_dir,
            save=save,
            export=recipe.export,
            report=report,
            task=recipe.task,
            more=recipe.figures,
        )
        loop.run(task, report, validate)
    save(run_dir / CHECKPOINT, loop.weights)
    return run_dir / CHECKPOINT
