"""Learning: torchvision's own losses through the shared loop."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.backends.learning.carry import carry
from trainer.backends.learning.drawing import drawn
from trainer.backends.learning.frames import Frame, read_frames, vary
from trainer.backends.learning.looking import judge
from trainer.backends.learning.loop import Lesson, Loop, Tuning
from trainer.backends.learning.memory import check_kept
from trainer.backends.learning.state import plain, room_for
from trainer.backends.learning.weights import read_weights, save_weights
from trainer.backends.torchvision_detection.export import ENGINES, export
from trainer.backends.torchvision_detection.networks import build, heads_of
from trainer.backends.torchvision_detection.settings import Settings, read_settings
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError, DatasetError
from trainer.labels import LabelMap

CHECKPOINT = "checkpoint.npz"


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit. Mask R-CNN needs a mask of every object."""
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
            weight_decay=settings.weight_decay, ema=settings.ema, save_every=settings.save_every
        ),
    )
    said = {
        "architecture": settings.architecture,
        "labels": list(dataset.labels),
        "image_size": list(config.image_size),
        "notes": notes,
        "settings": plain(config) | {"extra": dataclasses.asdict(settings)},
        "fingerprint": dataset.fingerprint,
    }

    def save(path: Path, weights: Mapping[str, Tensor]) -> None:
        with room_for(path.with_suffix(".part"), config.backend):
            save_weights(path, weights, {**said, **loop.meta})

    if not loop.ended:
        for note in notes:
            report(Progress("note", 0, 0, note=note))
        check_kept(config.backend, len(images), config.image_size)
        frames = read_frames(
            dataset,
            images,
            config.image_size,
            lambda n: report(Progress("read", n, len(images))),
            masks=settings.masked,
        )
        task = "masks" if settings.masked else "boxes"
        look = judge(dataset, run_dir=run_dir, save=save, export=export, report=report, task=task)
        loop.learn(_lesson(frames, config, settings), report, look)
    save(run_dir / CHECKPOINT, loop.weights)
    return run_dir / CHECKPOINT


def _begin(dataset: Dataset, config: FitConfig, settings: Settings) -> tuple[nn.Module, list[str]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = build(
            settings.architecture,
            dataset.labels.names,
            image_size=config.image_size,
            regions=config.regions_per_image,
        )
    if config.base is None:
        return network, []
    base, meta = read_weights(config.base, engines=ENGINES)
    if meta["architecture"] != settings.architecture:
        fault = f"base weights {config.base} are of {meta['architecture']}; set "
        raise ConfigError([f"{fault}extra.architecture to it, not {settings.architecture}"])
    carried, notes = carry(
        network.state_dict(),
        base,
        labels=dataset.labels,
        known=LabelMap(tuple(meta["labels"])),
        heads=heads_of(network),
    )
    network.load_state_dict(carried)
    return network, notes


def _lesson(frames: list[Frame], config: FitConfig, settings: Settings) -> Lesson[Frame]:
    device = torch.device(config.device)
    first = 1 if settings.staged else 0  # where there is a background, it is class 0

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
            if settings.masked:
                known["masks"] = torch.from_numpy(frame.drawn()).to(device).byte()
            targets.append(known)
        parts: dict[str, Tensor] = network(images, targets)
        return torch.stack([*parts.values()]).sum(), parts

    return Lesson(batch, error)
