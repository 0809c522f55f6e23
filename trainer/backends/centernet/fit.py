"""Learning: batches of augmented frames, AdamW on a cosine, averaged weights, a state to resume."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from trainer.backends.centernet.checkpoint import carry_over, save_checkpoint
from trainer.backends.centernet.frames import Frame, augment, collate, read_frames
from trainer.backends.centernet.loss import class_weights, loss
from trainer.backends.centernet.network import CenterNet
from trainer.backends.centernet.settings import Settings, read_settings
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import DatasetError, TrainingError

CHECKPOINT = "checkpoint.npz"
STATE = "state.pt"
STOP = "stop"  # a file of this name in run_dir ends the fit after the step at work
_CLIP = 10.0


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
    run = _Run(dataset, config, settings, run_dir, settings.total_steps(config, len(images)))
    if run.step < run.total and not (run_dir / STOP).exists():
        frames = read_frames(
            dataset,
            images,
            config.image_size,
            lambda n: report(Progress("read", n, len(images))),
        )
        run.learn(frames, report)
    run.keep()
    return run_dir / CHECKPOINT


class _Run:
    """A fit under way: the network, its average, the optimiser, and how far it is."""

    def __init__(
        self, dataset: Dataset, config: FitConfig, settings: Settings, run_dir: Path, total: int
    ) -> None:
        self.config, self.settings, self.run_dir, self.total = config, settings, run_dir, total
        self.labels = dataset.labels
        self.key = _key(dataset, config)
        self.device = torch.device(config.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.network = CenterNet(len(self.labels), width=settings.width)
        self.notes: list[str] = []
        if config.base is not None:
            self.notes = carry_over(self.network, self.labels, config.base)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizer = torch.optim.AdamW(_groups(self.network, settings.weight_decay))
        counts = [o.class_id for i in dataset.split("train") for o in i.objects if not o.crowd]
        self.weights = class_weights(
            torch.bincount(torch.tensor(counts), minlength=len(self.labels)).float(),
            settings.balance,
        ).to(self.device)
        self.step, self.seconds = 0, 0.0
        self._resume()

    def learn(self, frames: list[Frame], report: Callable[[Progress], None]) -> None:
        """Take the steps that are left, or as many as the time limit and the stop file allow."""
        self.network.train()
        before, began, saved = self.seconds, time.monotonic(), time.monotonic()
        limit = self.config.time_limit
        while self.step < self.total and not (self.run_dir / STOP).exists():
            if limit is not None and self.seconds >= limit:
                break
            # The schedule ends where the fit ends, by steps or by time, whichever is nearer.
            done = self.step / self.total
            rate = self._rate(done if limit is None else max(done, self.seconds / limit))
            figures = self._take_step(_batch(frames, self.step, self.config, self.settings), rate)
            self.step += 1
            self.seconds = before + time.monotonic() - began
            left = self.seconds / self.step * (self.total - self.step)
            if limit is not None:
                left = min(left, max(0.0, limit - self.seconds))
            report(Progress("fit", self.step, self.total, left, {**figures, "lr": rate}))
            if time.monotonic() - saved >= self.settings.save_every:
                self._save()
                saved = time.monotonic()
        self._save()

    def keep(self) -> None:
        """Write the averaged weights as the checkpoint."""
        meta = {
            "labels": list(self.labels),
            "width": self.settings.width,
            "image_size": list(self.config.image_size),
            "step": self.step,
            "total": self.total,
            "seconds": round(self.seconds, 2),
            "notes": self.notes,
            "settings": _plain(self.config) | {"extra": dataclasses.asdict(self.settings)},
            "fingerprint": self.key["dataset"],
        }
        save_checkpoint(self.run_dir / CHECKPOINT, self.average, meta)

    def _take_step(self, frames: list[Frame], rate: float) -> dict[str, float]:
        pixels, boxes, class_ids = collate(frames)
        batch = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        batch = batch.contiguous(memory_format=torch.channels_last)
        total, parts = loss(
            self.network(batch),
            torch.from_numpy(boxes).to(self.device),
            torch.from_numpy(class_ids).to(self.device),
            self.weights,
        )
        if not torch.isfinite(total):
            raise TrainingError(
                "centernet",
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

    def _resume(self) -> None:
        path = self.run_dir / STATE
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["key"] != self.key:
            differ = [k for k in self.key if state["key"].get(k) != self.key[k]]
            raise TrainingError(
                "centernet",
                f"{self.run_dir} holds a fit of another {' and '.join(differ)}; use a new folder",
            )
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]


def _batch(frames: list[Frame], step: int, config: FitConfig, settings: Settings) -> list[Frame]:
    """Draw the batch of a step; a function of seed and step, so that a resumed fit is alike."""
    start = step * config.batch_size
    drawn = []
    orders: dict[int, NDArray[np.int64]] = {}
    for place in range(start, start + config.batch_size):
        epoch, row = divmod(place, len(frames))
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([config.seed, epoch]).permutation(len(frames))
        rng = np.random.default_rng([config.seed, epoch, row, 1])
        drawn.append(augment(frames[orders[epoch][row]], settings.augmentation, rng))
    return drawn


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


def _key(dataset: Dataset, config: FitConfig) -> dict[str, str]:
    # Where and for how long a fit runs may change when it is gone on with.
    free = ("device", "workers", "time_limit")
    values = {k: v for k, v in _plain(config).items() if k not in free}
    text = json.dumps(values, sort_keys=True, default=str)
    return {"dataset": dataset.fingerprint, "config": hashlib.sha256(text.encode()).hexdigest()}
