"""Train torchvision's detectors with their own losses in the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.learning.frames import TrainingFrame, augment, read_frames
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings
from trainer.backends.learning.plan import with_planned_size
from trainer.backends.learning.sampling import batch_rows
from trainer.backends.learning.starting.initialise import BaseWeights, initialise
from trainer.backends.learning.training_recipe import TrainingRecipe, train, train_part
from trainer.backends.torchvision_detection.export import ENGINES, export
from trainer.backends.torchvision_detection.networks import build, heads_of, published_coco
from trainer.backends.torchvision_detection.settings import (
    TorchvisionSettings,
    read_settings,
    task_of,
    two_stages,
)
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit. Mask R-CNN needs a mask of every object."""
    asked = read_settings(config)
    images = train_part(dataset)
    config = with_planned_size(images, config)
    base = BaseWeights.read(config, ENGINES, asked.architecture)
    if base.architecture and asked.task not in (None, task_of(base.architecture)):
        theirs = task_of(base.architecture)
        raise ConfigError(
            [f"base weights {config.base} are for {theirs}, this fit is for {asked.task}"]
        )
    settings = asked.resolved(base.architecture)
    architecture = str(settings.architecture)
    if settings.pretrained:
        base = BaseWeights(architecture, *published_coco(architecture, config.backend))
    network, notes = initialise(
        lambda: build(
            architecture,
            dataset.labels.names,
            image_size=config.image_size,
            regions=config.regions_per_image,
        ),
        base,
        dataset.labels,
        heads=heads_of,
        seed=config.seed,
    )

    def load_task(on_done: Callable[[int], None]) -> BatchesAndLoss[TrainingFrame]:
        masks = settings.task == "masks"
        frames = read_frames(dataset, images, config.image_size, on_done, masks=masks)
        return _batches_and_loss(frames, config, settings)

    recipe = TrainingRecipe(
        network,
        notes,
        total=settings.total_steps(config, len(images)),
        optimizer=OptimizerSettings.of(settings),
        settings=settings,
        described={"architecture": architecture},
        load_task=load_task,
        export=export,
        task=settings.task or "boxes",
    )
    return train(recipe, dataset, config, run_dir=run_dir, report=report)


def _batches_and_loss(
    frames: list[TrainingFrame], config: FitConfig, settings: TorchvisionSettings
) -> BatchesAndLoss[TrainingFrame]:
    device = torch.device(config.device)
    first = int(
        two_stages(str(settings.architecture))
    )  # class 0 is the background, if there is one

    def batch(step: int) -> list[TrainingFrame]:
        return [
            augment(frames[row], rng, mirrored=settings.flip_horizontal, colour=settings.colour)
            for row, rng in batch_rows(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(
        network: nn.Module, samples: Sequence[TrainingFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        images = [
            torch.from_numpy(frame.pixels).to(device).permute(2, 0, 1).float() / 255
            for frame in samples
        ]
        targets = []
        for frame in samples:
            known = {"boxes": torch.from_numpy(frame.boxes).to(device)}
            known["labels"] = torch.from_numpy(frame.class_ids + first).to(device)
            if settings.task == "masks":
                known["masks"] = torch.from_numpy(frame.drawn()).to(device).byte()
            targets.append(known)
        parts: dict[str, Tensor] = network(images, targets)
        return torch.stack([*parts.values()]).sum(), parts

    return BatchesAndLoss(batch, error)
