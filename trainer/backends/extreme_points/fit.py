"""Learning to turn clicks into masks, by the loop that all backends share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer.backends.extreme_points.blending import Blend, apart, chosen, mixed
from trainer.backends.extreme_points.checkpoint import read_checkpoint
from trainer.backends.extreme_points.cutouts import cut_out
from trainer.backends.extreme_points.lessons import Things, lesson
from trainer.backends.extreme_points.networks.architecture import Network, build, new_network
from trainer.backends.extreme_points.settings import Settings, read_settings
from trainer.backends.learning.course import CHECKPOINT
from trainer.backends.learning.loop import Loop, Tuning
from trainer.backends.learning.starting.weights import save_weights
from trainer.backends.learning.state import room_for
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError, DatasetError

_CLIP = 5.0


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit."""
    settings = read_settings(config)
    images = dataset.split("train")
    if not images:
        raise DatasetError(dataset.path, "split train", "has no image to learn from")
    objects = sum(not o.crowd and o.segmentation is not None for i in images for o in i.objects)
    if not objects:
        raise DatasetError(dataset.path, "split train", "has no mask or polygon to learn from")
    run_dir.mkdir(parents=True, exist_ok=True)
    images, held = apart(images, settings.held, config.seed)
    most_held = round(settings.held * settings.most)
    network = _begin(config, settings)
    base = {k: v.clone() for k, v in network.state_dict().items()} if settings.held else {}
    total = settings.total_steps(config, objects)
    loop = Loop(
        dataset,
        config,
        network,
        run_dir=run_dir,
        total=total,
        per_epoch=max(1, objects // config.batch_size),
        tuning=_tuning(settings),
    )
    if not loop.ended:
        things = cut_out(
            dataset,
            images,
            most=max(1, settings.most - most_held),
            seed=config.seed,
            told=lambda n: report(Progress("read", n, len(images))),
            side=settings.kept_side(config),
        )
        if not things:
            raise DatasetError(dataset.path, "split train", "has only specks to learn from")
        loop.learn(lesson(Things(things, settings), config, settings, total), report)
    weights, blend = loop.weights, None
    if settings.held:
        kept = cut_out(
            dataset,
            held,
            most=most_held,
            seed=config.seed,
            told=lambda _: None,
            side=settings.kept_side(config),
        )
        size = config.image_size[0]
        blend = chosen(network, base, weights, kept, size=size, seed=config.seed)
        weights = mixed(base, weights, blend.share)
    path, meta = run_dir / CHECKPOINT, _meta(dataset, config, settings, blend)
    with room_for(path.with_suffix(".part"), config.backend):
        save_weights(path, weights, {**meta, **loop.meta})
    return path


def _tuning(settings: Settings) -> Tuning:
    return Tuning(
        weight_decay=settings.weight_decay,
        ema=settings.ema,
        warmup=settings.warmup,
        clip=_CLIP,
        save_every=settings.save_every,
        factor=lambda name: settings.encoder_rate if name.startswith("encoder.") else 1.0,
    )


def _meta(
    dataset: Dataset, config: FitConfig, settings: Settings, blend: Blend | None
) -> dict[str, Any]:
    """Return what rebuilds the network from its checkpoint, and where it comes from."""
    extra = dataclasses.asdict(settings) | {"shares": dict(settings.shares)}
    return {
        "labels": list(dataset.labels),
        "backbone": settings.backbone,
        "width": settings.width,
        "image_size": list(config.image_size),
        "settings": config.to_json() | {"extra": extra},
        "fingerprint": dataset.fingerprint,
        "blend": None if blend is None else dataclasses.asdict(blend),
    }


def _begin(config: FitConfig, settings: Settings) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        network = new_network(
            settings.backbone, width=settings.width, pretrained=settings.pretrained
        )
    if config.base is not None:
        weights, meta = read_checkpoint(config.base)
        if (meta["backbone"], meta["width"]) != (settings.backbone, settings.width):
            raise ConfigError(
                [
                    (
                        f"base weights {config.base} have backbone {meta['backbone']!r} and "
                        f"width {meta['width']}; set extra.backbone and extra.width to them, "
                        f"not {settings.backbone!r} and {settings.width}"
                    )
                ]
            )
        network.load_state_dict(build(weights, meta).state_dict())
    return network
