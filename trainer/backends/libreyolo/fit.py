"""Train libreyolo's networks with its losses in the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.learning.frames import TrainingFrame, augment, read_frames
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings
from trainer.backends.learning.sampling import batch_rows
from trainer.backends.learning.starting.initialise import BaseWeights, initialise
from trainer.backends.learning.training_recipe import TrainingRecipe, train, train_part
from trainer.backends.libreyolo.export import ENGINES, export
from trainer.backends.libreyolo.families import family_of
from trainer.backends.libreyolo.initial_weights import published_base
from trainer.backends.libreyolo.losses import loss_of
from trainer.backends.libreyolo.networks import MADE, build, heads_of, rates_of
from trainer.backends.libreyolo.published import PUBLISHED
from trainer.backends.libreyolo.settings import LibreyoloSettings, network_size, read_settings
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress

_HIGH_RATE = 3.0  # times the usual learning rate, above which people are warned


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit."""
    asked = read_settings(config)
    images = train_part(dataset)
    base = BaseWeights.read(config, ENGINES, asked.architecture)
    settings = asked.resolved(base.architecture)
    architecture = str(settings.architecture)
    if settings.pretrained:
        base = published_base(architecture, settings.weights_sha256, config.backend)
    size, begun = network_size(config), bool(base.weights)
    network, notes = initialise(
        lambda: build(architecture, len(dataset.labels), image_size=size, begun=begun),
        base,
        dataset.labels,
        heads=heads_of,
        seed=config.seed,
    )
    notes = [note for note in notes if not note.startswith(MADE)]
    family = family_of(architecture)
    rates = rates_of(network, architecture) if begun else {}

    def load_task(on_done: Callable[[int], None]) -> BatchesAndLoss[TrainingFrame]:
        frames = read_frames(dataset, images, size, on_done, masks=False)
        device = torch.device(config.device)
        return _batches_and_loss(
            frames, config, settings, loss_of(architecture, network, len(dataset.labels), device)
        )

    recipe = TrainingRecipe(
        network,
        [*notes, *_rate_warning(config, architecture, begun=begun)],
        total=settings.total_steps(config, len(images)),
        optimizer=OptimizerSettings.of(
            settings, clip=family.clip, factor=lambda name: rates.get(name, 1.0)
        ),
        settings=settings,
        described={
            "architecture": architecture,
            "network_size": list(size),
            "begun": begun,
            "published": PUBLISHED[architecture].name if settings.pretrained else "",
        },
        load_task=load_task,
        export=export,
    )
    return train(recipe, dataset, config, run_dir=run_dir, report=report)


def _batches_and_loss(
    frames: list[TrainingFrame],
    config: FitConfig,
    settings: LibreyoloSettings,
    loss: Callable[[nn.Module, Sequence[TrainingFrame]], tuple[Tensor, Mapping[str, Tensor]]],
) -> BatchesAndLoss[TrainingFrame]:
    def batch(step: int) -> list[TrainingFrame]:
        return [
            augment(frames[row], rng, mirrored=settings.flip_horizontal, colour=settings.colour)
            for row, rng in batch_rows(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    return BatchesAndLoss(batch, loss)


def _rate_warning(config: FitConfig, architecture: str, *, begun: bool) -> list[str]:
    usual = family_of(architecture).learning_rate
    if not (begun and usual and config.learning_rate > _HIGH_RATE * usual):
        return []
    on_done = (
        f"learning_rate {config.learning_rate} is high for {architecture}: it is usually "
        f"fine-tuned with {usual}; a much higher rate destroys what it has learned"
    )
    return [on_done]
