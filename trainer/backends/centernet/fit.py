"""Learning: batches of augmented frames through the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.centernet.checkpoint import carry_over
from trainer.backends.centernet.export import export
from trainer.backends.centernet.frames import Frame, augment, collate, read_frames
from trainer.backends.centernet.loss import loss
from trainer.backends.centernet.network import CenterNet
from trainer.backends.centernet.settings import Settings, read_settings
from trainer.backends.learning.balance import class_weights
from trainer.backends.learning.course import Course, take, train_part
from trainer.backends.learning.drawing import drawn
from trainer.backends.learning.loop import Lesson, Tuning
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit."""
    settings = read_settings(config)
    images = train_part(dataset)
    network, notes = _begin(dataset, config, settings)

    def lesson(told: Callable[[int], None]) -> Lesson[Frame]:
        frames = read_frames(dataset, images, config.image_size, told)
        return _lesson(frames, dataset, config, settings)

    course = Course(
        network,
        notes,
        total=settings.total_steps(config, len(images)),
        tuning=Tuning(
            weight_decay=settings.weight_decay,
            ema=settings.ema,
            warmup=settings.warmup,
            save_every=settings.save_every,
        ),
        settings=settings,
        described={"width": settings.width, "deep": settings.deep},
        lesson=lesson,
        export=export,
    )
    return take(course, dataset, config, run_dir=run_dir, report=report)


def _begin(dataset: Dataset, config: FitConfig, settings: Settings) -> tuple[CenterNet, list[str]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = CenterNet(len(dataset.labels), width=settings.width, deep=settings.deep)
    if config.base is None:
        return network, []
    return network, carry_over(network, dataset.labels, config.base)


def _lesson(
    frames: list[Frame], dataset: Dataset, config: FitConfig, settings: Settings
) -> Lesson[Frame]:
    device = torch.device(config.device)
    counts = [o.class_id for i in dataset.split("train") for o in i.objects if not o.crowd]
    weights = class_weights(
        torch.bincount(torch.tensor(counts), minlength=len(dataset.labels)).float(),
        settings.balance,
    ).to(device)

    def batch(step: int) -> list[Frame]:
        return [
            augment(frames[row], settings.augmentation, rng)
            for row, rng in drawn(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(network: nn.Module, samples: Sequence[Frame]) -> tuple[Tensor, Mapping[str, Tensor]]:
        pixels, boxes, class_ids = collate(list(samples))
        images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()
        answers = network(images.contiguous(memory_format=torch.channels_last))
        return loss(
            answers,
            torch.from_numpy(boxes).to(device),
            torch.from_numpy(class_ids).to(device),
            weights,
        )

    return Lesson(batch, error)
