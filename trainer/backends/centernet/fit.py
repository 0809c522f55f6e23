"""Learning: batches of augmented frames through the shared loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.centernet.checkpoint import carry_over, save_checkpoint
from trainer.backends.centernet.export import export
from trainer.backends.centernet.frames import Frame, augment, collate, read_frames
from trainer.backends.centernet.loss import class_weights, loss
from trainer.backends.centernet.network import CenterNet
from trainer.backends.centernet.settings import Settings, read_settings
from trainer.backends.learning.drawing import drawn
from trainer.backends.learning.looking import judge
from trainer.backends.learning.loop import Lesson, Loop, Tuning
from trainer.backends.learning.memory import check_kept
from trainer.backends.learning.state import plain, room_for
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import DatasetError

CHECKPOINT = "checkpoint.npz"


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit."""
    settings = read_settings(config)
    images = dataset.split("train")
    if not images:
        raise DatasetError(dataset.path, "split train", "has no image to learn from")
    if not any(not o.crowd for image in images for o in image.objects):
        raise DatasetError(dataset.path, "split train", "has no object to learn from")
    run_dir.mkdir(parents=True, exist_ok=True)
    network, notes = _begin(dataset, config, settings)
    loop = Loop(
        dataset,
        config,
        network,
        run_dir=run_dir,
        total=settings.total_steps(config, len(images)),
        per_epoch=math.ceil(len(images) / config.batch_size),
        tuning=Tuning(
            weight_decay=settings.weight_decay,
            ema=settings.ema,
            warmup=settings.warmup,
            save_every=settings.save_every,
        ),
    )
    said = {
        "labels": list(dataset.labels),
        "width": settings.width,
        "image_size": list(config.image_size),
        "notes": notes,
        "settings": plain(config) | {"extra": dataclasses.asdict(settings)},
        "fingerprint": dataset.fingerprint,
    }

    def save(path: Path, weights: Mapping[str, Tensor]) -> None:
        with room_for(path.with_suffix(".part"), config.backend):
            save_checkpoint(path, weights, {**said, **loop.meta})

    if not loop.ended:
        check_kept(config.backend, len(images), config.image_size)
        frames = read_frames(
            dataset,
            images,
            config.image_size,
            lambda n: report(Progress("read", n, len(images))),
        )
        look = judge(dataset, run_dir=run_dir, save=save, export=export, report=report)
        loop.learn(_lesson(frames, dataset, config, settings), report, look)
    save(run_dir / CHECKPOINT, loop.weights)
    return run_dir / CHECKPOINT


def _begin(dataset: Dataset, config: FitConfig, settings: Settings) -> tuple[CenterNet, list[str]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = CenterNet(len(dataset.labels), width=settings.width)
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
