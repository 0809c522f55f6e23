"""Train the interactor with the training loop that all backends share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from trainer.backends.extreme_points.batches import ObjectSampler, batches_and_loss
from trainer.backends.extreme_points.blending import Blend, best_blend, interpolate, split_held_out
from trainer.backends.extreme_points.checkpoint import read_checkpoint
from trainer.backends.extreme_points.networks.architecture import Network, build, new_network
from trainer.backends.extreme_points.object_crops import crop_objects
from trainer.backends.extreme_points.settings import ExtremePointsSettings, read_settings
from trainer.backends.learning.loop import OptimizerSettings, TrainingLoop
from trainer.backends.learning.starting.weights import save_weights
from trainer.backends.learning.state import disk_errors
from trainer.backends.learning.training_recipe import CHECKPOINT
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError, DatasetError

_CLIP = 5.0


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit."""
    settings = read_settings(config)
    images = dataset.split("train")
    if not images:
        raise DatasetError(dataset.path, "split train", "has no image to train on")
    objects = sum(not o.crowd and o.segmentation is not None for i in images for o in i.objects)
    if not objects:
        raise DatasetError(dataset.path, "split train", "has no mask or polygon to train on")
    run_dir.mkdir(parents=True, exist_ok=True)
    images, held = split_held_out(images, settings.held_out, config.seed)
    most_held = round(settings.held_out * settings.max_objects)
    network = _initial_network(config, settings)
    base = {k: v.clone() for k, v in network.state_dict().items()} if settings.held_out else {}
    total = settings.total_steps(config, objects)
    loop = TrainingLoop(
        dataset,
        config,
        network,
        run_dir=run_dir,
        total=total,
        per_epoch=max(1, objects // config.batch_size),
        optimizer=_optimizer_settings(settings),
    )
    if not loop.ended:
        things = crop_objects(
            dataset,
            images,
            most=max(1, settings.max_objects - most_held),
            seed=config.seed,
            on_done=lambda n: report(Progress("read", n, len(images))),
            side=settings.kept_side(config),
        )
        if not things:
            raise DatasetError(dataset.path, "split train", "has only specks to train on")
        loop.run(batches_and_loss(ObjectSampler(things, settings), config, settings, total), report)
    weights, blend = loop.weights, None
    if settings.held_out:
        kept = crop_objects(
            dataset,
            held,
            most=most_held,
            seed=config.seed,
            on_done=lambda _: None,
            side=settings.kept_side(config),
        )
        size = config.image_size[0]
        blend = best_blend(network, base, weights, kept, size=size, seed=config.seed)
        weights = interpolate(base, weights, blend.share)
    path, meta = run_dir / CHECKPOINT, _meta(dataset, config, settings, blend)
    with disk_errors(path.with_suffix(".part"), config.backend):
        save_weights(path, weights, {**meta, **loop.meta})
    return path


def _optimizer_settings(settings: ExtremePointsSettings) -> OptimizerSettings:
    return OptimizerSettings.of(
        settings,
        warmup=settings.warmup,
        clip=_CLIP,
        factor=lambda name: settings.encoder_rate if name.startswith("encoder.") else 1.0,
    )


def _meta(
    dataset: Dataset, config: FitConfig, settings: ExtremePointsSettings, blend: Blend | None
) -> dict[str, Any]:
    """Return what is needed to rebuild the network from its checkpoint, and its origin."""
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


def _initial_network(config: FitConfig, settings: ExtremePointsSettings) -> Network:
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
