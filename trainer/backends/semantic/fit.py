"""Train semantic segmentation with the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.backends.learning.balance import class_weights
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings
from trainer.backends.learning.plan import with_planned_size
from trainer.backends.learning.sampling import batch_rows
from trainer.backends.learning.starting.initialise import BaseWeights, initialise
from trainer.backends.learning.training_recipe import TrainingRecipe, train, train_part
from trainer.backends.semantic.export import ENGINES, export, logits_of
from trainer.backends.semantic.frames import SemanticFrame, augment, pixels_of, read_frames
from trainer.backends.semantic.networks import build, heads_of, prepare_for_batch, published_voc
from trainer.backends.semantic.settings import SemanticSettings, read_settings
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.evaluation.mean_iou import IGNORE_INDEX, mean_iou


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit. Every object needs a mask."""
    asked = read_settings(config)
    images = train_part(dataset)
    config = with_planned_size(images, config)
    base = BaseWeights.read(config, ENGINES, asked.architecture)
    settings = asked.resolved(base.architecture)
    architecture = str(settings.architecture)
    if settings.pretrained:
        base = BaseWeights(architecture, *published_voc(architecture, config.backend))
    network, notes = initialise(
        lambda: build(architecture, len(dataset.labels)),
        base,
        dataset.labels,
        heads=heads_of,
        seed=config.seed,
    )

    def load_task(on_done: Callable[[int], None]) -> BatchesAndLoss[SemanticFrame]:
        frames = read_frames(dataset, images, config.image_size, on_done)
        return _batches_and_loss(frames, len(dataset.labels), config, settings)

    recipe = TrainingRecipe(
        network,
        notes,
        total=settings.total_steps(config, len(images)),
        optimizer=OptimizerSettings.of(settings),
        settings=settings,
        described={"architecture": architecture},
        load_task=load_task,
        export=export,
        task="masks",
        figures=mean_iou,
    )
    return train(recipe, dataset, config, run_dir=run_dir, report=report)


def _batches_and_loss(
    frames: list[SemanticFrame], classes: int, config: FitConfig, settings: SemanticSettings
) -> BatchesAndLoss[SemanticFrame]:
    device = torch.device(config.device)
    counts = torch.from_numpy(pixels_of(frames, classes)).float()
    weights = class_weights(counts, settings.balance).to(device)

    def batch(step: int) -> list[SemanticFrame]:
        return [
            augment(frames[row], settings, rng)
            for row, rng in batch_rows(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(
        network: nn.Module, samples: Sequence[SemanticFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        pixels = torch.from_numpy(np.stack([frame.pixels for frame in samples]))
        images = pixels.to(device).permute(0, 3, 1, 2).float()
        target = torch.from_numpy(np.stack([frame.classes for frame in samples])).to(device).long()
        prepare_for_batch(network, len(samples))
        logits, _ = logits_of(network, images)
        wrong = functional.cross_entropy(
            logits.float(), target, weights, ignore_index=IGNORE_INDEX, reduction="sum"
        )
        # A frame that is all crowd has no labelled pixel: avoid dividing by zero.
        total = wrong / weights[target.clamp(0)][target >= 0].sum().clamp(1)
        return total, {"pixels": total}

    return BatchesAndLoss(batch, error)
