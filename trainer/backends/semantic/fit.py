"""Learning: the class of every pixel, through the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.backends.learning.balance import class_weights
from trainer.backends.learning.course import Course, take, train_part
from trainer.backends.learning.drawing import drawn
from trainer.backends.learning.loop import Lesson, Tuning
from trainer.backends.learning.plan import with_size
from trainer.backends.learning.starting.beginning import Base, begin
from trainer.backends.semantic.export import ENGINES, export, logits_of
from trainer.backends.semantic.frames import Frame, pixels_of, read_frames, vary
from trainer.backends.semantic.networks import build, for_batch, heads_of, published_voc
from trainer.backends.semantic.settings import Settings, read_settings
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.evaluation.mean_iou import NOBODY_KNOWS, mean_iou


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit. Every object needs a mask."""
    asked = read_settings(config)
    images = train_part(dataset)
    config = with_size(images, config)
    base = Base.read(config, ENGINES, asked.architecture)
    settings = asked.settled(base.architecture)
    architecture = str(settings.architecture)
    if settings.pretrained:
        base = Base(architecture, *published_voc(architecture, config.backend))
    network, notes = begin(
        lambda: build(architecture, len(dataset.labels)),
        base,
        dataset.labels,
        heads=heads_of,
        seed=config.seed,
    )

    def lesson(told: Callable[[int], None]) -> Lesson[Frame]:
        frames = read_frames(dataset, images, config.image_size, told)
        return _lesson(frames, len(dataset.labels), config, settings)

    course = Course(
        network,
        notes,
        total=settings.total_steps(config, len(images)),
        tuning=Tuning(
            weight_decay=settings.weight_decay, ema=settings.ema, save_every=settings.save_every
        ),
        settings=settings,
        described={"architecture": architecture},
        lesson=lesson,
        export=export,
        task="masks",
        figures=mean_iou,
    )
    return take(course, dataset, config, run_dir=run_dir, report=report)


def _lesson(
    frames: list[Frame], classes: int, config: FitConfig, settings: Settings
) -> Lesson[Frame]:
    device = torch.device(config.device)
    counts = torch.from_numpy(pixels_of(frames, classes)).float()
    weights = class_weights(counts, settings.balance).to(device)

    def batch(step: int) -> list[Frame]:
        return [
            vary(frames[row], settings, rng)
            for row, rng in drawn(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(network: nn.Module, samples: Sequence[Frame]) -> tuple[Tensor, Mapping[str, Tensor]]:
        pixels = torch.from_numpy(np.stack([frame.pixels for frame in samples]))
        images = pixels.to(device).permute(0, 3, 1, 2).float()
        target = torch.from_numpy(np.stack([frame.classes for frame in samples])).to(device).long()
        for_batch(network, len(samples))
        logits, _ = logits_of(network, images)
        wrong = functional.cross_entropy(
            logits.float(), target, weights, ignore_index=NOBODY_KNOWS, reduction="sum"
        )
        # Of a frame that is a crowd all over there is nothing to learn, and nothing to divide by.
        total = wrong / weights[target.clamp(0)][target >= 0].sum().clamp(1)
        return total, {"pixels": total}

    return Lesson(batch, error)
