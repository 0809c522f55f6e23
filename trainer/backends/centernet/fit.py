"""Train on batches of augmented frames with the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.backends.centernet.checkpoint import carry_over, description, new_network
from trainer.backends.centernet.export import export
from trainer.backends.centernet.frames import CenterNetFrame, augment, collate, read_frames
from trainer.backends.centernet.loss import loss
from trainer.backends.centernet.settings import CenterNetSettings, read_settings
from trainer.backends.features.package import SCRATCH
from trainer.backends.learning.balance import class_weights
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings
from trainer.backends.learning.plan import SECONDS, TrainingPlan, plan
from trainer.backends.learning.sampling import batch_rows
from trainer.backends.learning.training_recipe import TrainingRecipe, train, train_part
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress

RATE = 2e-3  # peak learning rate of the heads on pretrained features


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit."""
    settings = read_settings(config)
    images = train_part(dataset)
    config, chosen = _planned(images, config, settings)
    if chosen is not None:
        report(Progress("note", 0, 0, note=chosen.sentence))
    canvas = None if chosen is None else chosen.canvas
    network, notes = _initial_network(dataset, config, settings)

    def load_task(on_done: Callable[[int], None]) -> BatchesAndLoss[CenterNetFrame]:
        frames = read_frames(dataset, images, canvas or config.image_size, on_done)
        return _batches_and_loss(frames, dataset, config, settings)

    def factor(name: str) -> float:
        return settings.backbone_rate if name.startswith("encoder.") else 1.0

    recipe = TrainingRecipe(
        network,
        notes,
        total=chosen.steps if chosen else settings.total_steps(config, len(images)),
        optimizer=OptimizerSettings.of(settings, warmup=settings.warmup, factor=factor),
        settings=settings,
        described={**description(settings), **({"canvas": canvas} if canvas else {})},
        load_task=load_task,
        export=export,
    )
    return train(recipe, dataset, config, run_dir=run_dir, report=report)


def _planned(
    images: Sequence[AnnotatedImage], config: FitConfig, settings: CenterNetSettings
) -> tuple[FitConfig, TrainingPlan | None]:
    """Return the config with the settings that are not set planned from the data."""
    # `trainer resume` may set a limit that the fit started without.
    limited = config.time_limit is not None or config.device != "cpu"
    free = config.automatic
    if not free:
        return config, None
    chosen = plan(
        images,
        image_size=None if "image_size" in free else config.image_size,
        batch_size=None if "batch_size" in free else config.batch_size,
        seconds=config.time_limit if limited else SECONDS,
        cores=torch.get_num_threads(),
        tiles=settings.tiles,
    )
    values: dict[str, Any] = {
        "image_size": chosen.image_size,
        "batch_size": chosen.batch_size,
        "time_limit": chosen.seconds,
        "learning_rate": RATE if settings.backbone != SCRATCH else config.learning_rate,
        "schedule": "restarts",
    }
    planned = replace(config, **{name: values[name] for name in free & values.keys()})
    steps = chosen.steps if "epochs" in free else settings.total_steps(planned, len(images))
    return planned, replace(
        chosen,
        steps=settings.steps or steps,
        seconds=planned.time_limit,
        restarts=planned.schedule == "restarts",
    )


def _initial_network(
    dataset: Dataset, config: FitConfig, settings: CenterNetSettings
) -> tuple[nn.Module, list[str]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = new_network(len(dataset.labels), settings)
    if config.base is None:
        return network, []
    return network, carry_over(network, dataset.labels, config.base, settings)


def _batches_and_loss(
    frames: list[CenterNetFrame], dataset: Dataset, config: FitConfig, settings: CenterNetSettings
) -> BatchesAndLoss[CenterNetFrame]:
    device = torch.device(config.device)
    counts = [o.class_id for i in dataset.split("train") for o in i.objects if not o.crowd]
    weights = class_weights(
        torch.bincount(torch.tensor(counts), minlength=len(dataset.labels)).float(),
        settings.balance,
    ).to(device)

    def batch(step: int) -> list[CenterNetFrame]:
        return [
            augment(frames[row], settings.augmentation, rng, config.image_size)
            for row, rng in batch_rows(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(
        network: nn.Module, samples: Sequence[CenterNetFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        pixels, boxes, class_ids = collate(list(samples))
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
        answers = network(images.contiguous(memory_format=torch.channels_last))
        return loss(
            answers,
            torch.from_numpy(boxes).to(device),
            torch.from_numpy(class_ids).to(device),
            weights,
        )

    return BatchesAndLoss(batch, error)
