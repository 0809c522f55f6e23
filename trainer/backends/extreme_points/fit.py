"""Learning: objects drawn by source, composed scenes, AdamW on a cosine, averaged weights."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from trainer.annotator import next_click
from trainer.backends.extreme_points.architecture import Network, build, new_network
from trainer.backends.extreme_points.blending import Blend, apart, chosen, mixed
from trainer.backends.extreme_points.checkpoint import read_checkpoint, save_checkpoint
from trainer.backends.extreme_points.clicking import Sample, sample
from trainer.backends.extreme_points.cutouts import Cutout, cut_out
from trainer.backends.extreme_points.loss import loss
from trainer.backends.extreme_points.scenes import pasted, shape
from trainer.backends.extreme_points.settings import Settings, read_settings
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import ConfigError, DatasetError, TrainingError

CHECKPOINT = "checkpoint.npz"
STATE = "state.pt"
STOP = "stop"  # a file of this name in run_dir ends the fit after the step at work
_CLIP = 5.0
_LONGEST_STEP = 20.0  # seconds
_CORRECT_EVERY = 4  # steps: each such batch is answered once and corrected before it is learnt


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
    run = _Run(dataset, config, settings, run_dir, settings.total_steps(config, objects))
    images, held = apart(images, settings.held, config.seed)
    most_held = round(settings.held * settings.most)
    if run.step < run.total and not (run_dir / STOP).exists():
        things = cut_out(
            dataset,
            images,
            most=max(1, settings.most - most_held),
            seed=config.seed,
            told=lambda n: report(Progress("read", n, len(images))),
        )
        if not things:
            raise DatasetError(dataset.path, "split train", "has only specks to learn from")
        run.learn(Things(things, settings), report)
    if settings.held:
        run.blend(cut_out(dataset, held, most=most_held, seed=config.seed, told=lambda _: None))
    run.keep()
    return run_dir / CHECKPOINT


class Things:
    """The objects at hand, by source, and the drawing of batches; a function of seed and step."""

    def __init__(self, things: list[Cutout], settings: Settings) -> None:
        self.settings = settings
        by_source: dict[str, list[Cutout]] = {}
        for thing in things:
            by_source.setdefault(thing.source, []).append(thing)
        self.sources = [by_source[name] for name in sorted(by_source)]
        weights = np.array([settings.shares.get(name, 0.0) for name in sorted(by_source)])
        if not weights.sum():
            weights = np.ones(len(self.sources))
        self.shares = weights / weights.sum()

    def batch(self, seed: int, step: int, count: int, size: int) -> list[Sample]:
        """Draw the samples of a step."""
        return [
            sample(
                self._thing(rng),
                size,
                self.settings.variation,
                rng,
            )
            for rng in (np.random.default_rng([seed, step, row]) for row in range(count))
        ]

    def _thing(self, rng: np.random.Generator) -> Cutout:
        thing = self._any(rng)
        if rng.random() >= self.settings.composed:
            return thing
        behind = self._any(rng)
        return pasted(thing, behind, rng) if rng.random() < 0.5 else shape(thing, behind, rng)

    def _any(self, rng: np.random.Generator) -> Cutout:
        source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
        return source[int(rng.integers(len(source)))]


class _Run:
    """A fit under way: the network, its average, the optimiser, and how far it is."""

    def __init__(
        self, dataset: Dataset, config: FitConfig, settings: Settings, run_dir: Path, total: int
    ) -> None:
        self.config, self.settings, self.run_dir, self.total = config, settings, run_dir, total
        self.labels = dataset.labels
        self.key = _key(dataset, config)
        self.device = torch.device(config.device)
        self.network = _begin(config, settings)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.base = {k: v.clone() for k, v in self.average.items()} if settings.held else {}
        self.blended: Blend | None = None
        self.optimizer = torch.optim.AdamW(_groups(self.network, settings.weight_decay))
        self.step, self.seconds = 0, 0.0
        self._resume()

    def learn(self, things: Things, report: Callable[[Progress], None]) -> None:
        """Take the steps that are left, or as many as the time limit and the stop file allow."""
        self._study()
        told = saved = time.monotonic()
        limit = self.config.time_limit
        with ThreadPoolExecutor(1) as ahead:
            drawn = self._draw(ahead, things, self.step)
            while self.step < self.total and not (self.run_dir / STOP).exists():
                if limit is not None and self.seconds >= limit:
                    break
                batch = drawn.result()
                drawn = self._draw(ahead, things, self.step + 1)
                rate = self._rate(self._done(self.step))
                figures = self._take_step(batch, rate)
                self.step += 1
                # A process that was put to sleep has not learnt meanwhile.
                self.seconds += min(time.monotonic() - told, _LONGEST_STEP)
                told = time.monotonic()
                left = self.seconds / self.step * (self.total - self.step)
                if limit is not None:
                    left = min(left, max(0.0, limit - self.seconds))
                report(Progress("fit", self.step, self.total, left, {**figures, "lr": rate}))
                if time.monotonic() - saved >= self.settings.save_every:
                    self._save()
                    saved = time.monotonic()
        self._save()

    def blend(self, held: list[Cutout]) -> None:
        """Mix what was learnt into the base, as much as is best for the objects held out."""
        self.blended = chosen(
            self.network,
            self.base,
            self.average,
            held,
            size=self.config.image_size[0],
            seed=self.config.seed,
        )
        self.average = mixed(self.base, self.average, self.blended.share)

    def keep(self) -> None:
        """Write the averaged weights as the checkpoint."""
        meta = {
            "labels": list(self.labels),
            "backbone": self.settings.backbone,
            "width": self.settings.width,
            "image_size": list(self.config.image_size),
            "step": self.step,
            "total": self.total,
            "seconds": round(self.seconds, 2),
            "settings": _plain(self.config) | {"extra": _plain_settings(self.settings)},
            "fingerprint": self.key["dataset"],
            "blend": None if self.blended is None else dataclasses.asdict(self.blended),
        }
        save_checkpoint(self.run_dir / CHECKPOINT, self.average, meta)

    def _done(self, step: int) -> float:
        # The schedule ends where the fit ends, by steps or by time, whichever is nearer.
        done, limit = step / self.total, self.config.time_limit
        return done if limit is None else max(done, min(1.0, self.seconds / limit))

    def _draw(
        self, ahead: ThreadPoolExecutor, things: Things, step: int
    ) -> Future[tuple[list[Sample], Tensor, Tensor]]:
        first = self.settings.first_size
        # By the step that is drawn, not the one at work: a fit gone on with draws the same.
        size = (
            first if first and self._done(step) < self.settings.grow else self.config.image_size[0]
        )
        count = self.config.batch_size

        def work() -> tuple[list[Sample], Tensor, Tensor]:
            samples = things.batch(self.config.seed, step, count, size)
            return samples, *_tensors(samples)

        return ahead.submit(work)

    def _take_step(
        self, batch: tuple[list[Sample], Tensor, Tensor], rate: float
    ) -> dict[str, float]:
        samples, seen, masks = batch
        if self.step % _CORRECT_EVERY == _CORRECT_EVERY - 1:
            seen, masks = _tensors(self._corrected(samples, seen))
        seen = seen.to(self.device).contiguous(memory_format=torch.channels_last)
        clicks = seen[:, 4:6].amax(dim=1, keepdim=True)
        total, parts = loss(self.network(seen), masks.to(self.device), clicks)
        if not torch.isfinite(total):
            raise TrainingError(
                "extreme_points",
                f"the loss is {float(total)} at step {self.step}; lower the learning rate "
                f"({self.config.learning_rate})",
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self._average()
        return {name: float(v.detach()) for name, v in {"loss": total, **parts}.items()}

    @torch.no_grad()
    def _corrected(self, samples: list[Sample], seen: Tensor) -> list[Sample]:
        """Let the network answer and a person click on the middle of each largest error."""
        self.network.eval()
        found = (self.network(seen.to(self.device)).logits[:, 0] > 0).cpu().numpy()
        self._study()
        corrected = []
        for one, mask in zip(samples, found, strict=True):
            click = next_click(one.mask, mask)
            if click is not None:
                (x, y), positive = click
                name = "inside" if positive else "outside"
                clicks = np.concatenate([getattr(one.prompt, name), [[x, y]]])
                prompt = dataclasses.replace(one.prompt, **{name: clicks})
                corrected.append(dataclasses.replace(one, prompt=prompt))
            else:
                corrected.append(one)
        return corrected

    def _study(self) -> None:
        self.network.train()
        if self.settings.still:
            for part in self.network.modules():
                if isinstance(part, nn.BatchNorm2d):
                    part.eval()

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                self.average[name].lerp_(value, 1 - decay)
            else:
                self.average[name].copy_(value)

    def _rate(self, done: float) -> float:
        warmup = self.settings.warmup
        if done < warmup:
            return self.config.learning_rate * (0.05 + 0.95 * done / warmup)
        return self.config.learning_rate * max(
            0.01, (1 + math.cos(math.pi * (done - warmup) / (1 - warmup))) / 2
        )

    def _save(self) -> None:
        part = self.run_dir / f"{STATE}.part"
        torch.save(
            {
                "key": self.key,
                "step": self.step,
                "seconds": self.seconds,
                "network": self.network.state_dict(),
                "average": self.average,
                "optimizer": self.optimizer.state_dict(),
            },
            part,
        )
        part.replace(self.run_dir / STATE)
        self.keep()

    def _resume(self) -> None:
        path = self.run_dir / STATE
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["key"] != self.key:
            differ = [k for k in self.key if state["key"].get(k) != self.key[k]]
            raise TrainingError(
                "extreme_points",
                f"{self.run_dir} holds a fit of another {' and '.join(differ)}; use a new folder",
            )
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


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


def _tensors(samples: list[Sample]) -> tuple[Tensor, Tensor]:
    seen = torch.from_numpy(np.stack([one.seen() for one in samples]))
    masks = torch.from_numpy(np.stack([one.mask for one in samples]))
    return seen, masks[:, None].float()


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Decay convolution kernels only; norms and biases are left alone."""
    kernels = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0},
    ]


def _plain(config: FitConfig) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    values["base"] = None if config.base is None else str(config.base)
    values["image_size"] = list(config.image_size)
    return values


def _plain_settings(settings: Settings) -> dict[str, Any]:
    return dataclasses.asdict(settings) | {"shares": dict(settings.shares)}


def _key(dataset: Dataset, config: FitConfig) -> dict[str, str]:
    # A fit may go on with more time, or on another machine.
    free = ("device", "workers", "time_limit")
    fixed = {name: value for name, value in _plain(config).items() if name not in free}
    text = json.dumps(fixed, sort_keys=True, default=str)
    return {"dataset": dataset.fingerprint, "config": hashlib.sha256(text.encode()).hexdigest()}
