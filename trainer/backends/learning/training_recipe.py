"""A fit from the first check to the checkpoint, the same for every backend that learns by TrainingLoop."""

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
    """What a backend brings to a fit.

    network: to be learnt. notes: what of the base did not carry over, a sentence each. total:
    steps. settings: the backend's own. described: what rebuilds the network from a checkpoint,
    beside its labels and the size of its input. load_task: reads the train part, telling how many
    frames are read. export: Backend.export. task: "boxes" or "masks", by what val is judged.
    figures: what else a look at val tells; see learning.looking.
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
    """Return the frames to learn from; DatasetError when there is nothing to be learnt in them."""
    images = dataset.split("train")
    if not images:
        raise DatasetError(dataset.path, "split train", "has no image to learn from")
    if not any(not o.crowd for image in images for o in image.objects):
        raise DatasetError(dataset.path, "split train", "has no object to learn from")
    return images


def train(
    recipe: TrainingRecipe[Any],
    dataset: Dataset,
    config: FitConfig,
    *,
    run_dir: Path,
    report: Callable[[Progress], None],
) -> Path:
    """Learn, or go on with what run_dir holds, and return the checkpoint; see Backend.fit."""
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
