"""A trainer in the place of ultralytics' that its launcher can start on processors, with gloo."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import distributed

BATCHES = 40


class Standin:
    """Goes through one epoch after another; each batch waits for all processes, as learning does.

    folder: where each process leaves how many batches it took. stop: a file that the second
    process makes in the middle of the second epoch.
    """

    def __init__(
        self,
        cfg: Mapping[str, Any] | None = None,
        overrides: Mapping[str, Any] | None = None,
        _callbacks: Mapping[str, Sequence[Callable[[Any], None]]] | None = None,
    ) -> None:
        del cfg
        self.args = SimpleNamespace(**(overrides or {}))
        self.callbacks = dict(_callbacks or {})
        self.model = None
        self.resume, self.world_size = True, 2
        self.epoch = self.start_epoch = 0
        self.epochs = 3
        self.train_loader = range(BATCHES)
        self.tloss = {"box": torch.tensor(1.5)}
        self.optimizer = SimpleNamespace(param_groups=[{"lr": 0.25}])
        self.metrics: Mapping[str, float] | None = {}
        self.fitness: float | None = None
        self.ema = None
        self.stop = False

    def _call(self, event: str) -> None:
        for callback in self.callbacks.get(event, ()):
            callback(self)

    def train(self) -> None:
        """Go through the epochs, or to where a callback stops it."""
        distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
        rank, taken = distributed.get_rank(), 0
        self._call("on_train_start")
        for epoch in range(self.epochs):
            self.epoch = epoch
            self._call("on_train_epoch_start")
            for _ in self.train_loader:
                distributed.all_reduce(torch.ones(1))
                taken += 1
                if rank == 1 and taken == BATCHES + BATCHES // 2:
                    time.sleep(1)  # so that the first has looked already, and they disagree
                    Path(self.args.stop).touch()
                self._call("on_train_batch_end")
                if self.stop:
                    break
            # ultralytics has the figures of val in its first process alone.
            self.metrics = {"metrics/mAP50-95(B)": 0.5} if rank == 0 else None
            self.fitness = 0.5 if rank == 0 else None
            self._call("on_fit_epoch_end")
            distributed.barrier()
            if self.stop:
                break
        Path(self.args.folder, f"{rank}-of-{os.environ['WORLD_SIZE']}").write_text(str(taken))
        distributed.destroy_process_group()
