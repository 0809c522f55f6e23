"""Learning: torchvision's own losses through the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.learning.course import Course, take, train_part
from trainer.backends.learning.drawing import drawn
from trainer.backends.learning.frames import Frame, read_frames, vary
from trainer.backends.learning.loop import Lesson, Tuning
from trainer.backends.learning.plan import with_size
from trainer.backends.learning.starting.beginning import Base, begin
from trainer.backends.torchvision_detection.export import ENGINES, export
from trainer.backends.torchvision_detection.networks import build, heads_of, published_coco
from trainer.backends.torchvision_detection.settings import (
    Settings,
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
    """Learn from the train part; see Backend.fit. Mask R-CNN needs a mask of every object."""
    asked = read_settings(config)
    images = train_part(dataset)
    config = with_size(images, config)
    base = Base.read(config, ENGINES, asked.architecture)
    if base.architecture and asked.task not in (None, task_of(base.architecture)):
        theirs = task_of(base.architecture)
        raise ConfigError(
            [f"base weights {config.base} are of {theirs}, this fit is of {asked.task}"]
        )
    settings = asked.settled(base.architecture)
    architecture = str(settings.architecture)
    if settings.pretrained:
        base = Base(architecture, *published_coco(architecture, config.backend))
    network, notes = begin(
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

    def lesson(told: Callable[[int], None]) -> Lesson[Frame]:
        masks = settings.task == "masks"
        frames = read_frames(dataset, images, config.image_size, told, masks=masks)
        return _lesson(frames, config, settings)

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
        task=settings.task or "boxes",
    )
    return take(course, dataset, config, run_dir=run_dir, report=report)


def _lesson(frames: list[Frame], config: FitConfig, settings: Settings) -> Lesson[Frame]:
    device = torch.device(config.device)
    first = int(
        two_stages(str(settings.architecture))
    )  # where there is a background, it is class 0

    def batch(step: int) -> list[Frame]:
        return [
            vary(frames[row], rng, mirrored=settings.flip_horizontal, colour=settings.colour)
            for row, rng in drawn(
                len(frames), seed=config.seed, step=step, batch_size=config.batch_size
            )
        ]

    def error(network: nn.Module, samples: Sequence[Frame]) -> tuple[Tensor, Mapping[str, Tensor]]:
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

    return Lesson(batch, error)
