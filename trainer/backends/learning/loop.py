"""The training loop: AdamW on a schedule, averaged weights, validation, resumable state."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from trainer.backends.learning.backend_settings import SharedSettings
from trainer.backends.learning.memory import free_bytes, measure_memory, memory_errors
from trainer.backends.learning.schedule import rate
from trainer.backends.learning.state import STOP, former_key, read_state, save_state, state_key
from trainer.backends.learning.weight_average import WeightAverage
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import TrainingError
from trainer.renamed import current_parameters

Sample = TypeVar("Sample")
Report = Callable[[Progress], None]
# Averaged weights, the validation's number and the total → metrics, "ap" among them.
Validator = Callable[[Mapping[str, Tensor], int, int], Mapping[str, float]]
_LONGEST_STEP = 20.0  # seconds; time in which the process was suspended does not count
_VALIDATIONS = 10  # per fit, when evaluation_period is not set
_CYCLES = 4  # of a schedule with restarts, at most
_MIN_CYCLE_GAIN = 0.005  # AP gained by a cycle, below which no further cycle starts
_MIN_CYCLE_TIME = 0.3  # of the last cycle's duration must be left for another one
_MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class OptimizerSettings:
    """How the weights are updated.

    weight_decay: of AdamW. ema: decay of the weight average. warmup: share of the fit in which the
    learning rate rises. clip: maximum gradient norm. save_every: seconds between saved states.
    factor: multiplier of a parameter's learning rate, by its name.
    """

    weight_decay: float = SharedSettings.weight_decay
    ema: float = SharedSettings.ema
    warmup: float = 0.05
    clip: float = 10.0
    save_every: float = SharedSettings.save_every
    factor: Callable[[str], float] = field(default=lambda _: 1.0)

    @classmethod
    def of(cls, settings: SharedSettings, **others: Any) -> Self:
        """Return those of a backend's settings. others: fields that not every backend has."""
        return cls(
            weight_decay=settings.weight_decay,
            ema=settings.ema,
            save_every=settings.save_every,
            **others,
        )


@dataclass(frozen=True)
class BatchesAndLoss(Generic[Sample]):
    """The batches of a fit and the loss to minimise.

    batch: returns the samples of a step, a pure function of its number, called in a thread one step
    ahead. loss: returns a network's loss on some samples, and its named components.
    """

    batch: Callable[[int], Sequence[Sample]]
    loss: Callable[[nn.Module, Sequence[Sample]], tuple[Tensor, Mapping[str, Tensor]]]


@dataclass(frozen=True)
class Cycle:
    """A cycle of a schedule with restarts: its number from 0, and the state when it began."""

    number: int = 0
    step: int = 0
    seconds: float = 0.0
    ap: float = 0.0


class TrainingLoop:
    """A fit in progress: the network, its weight average, the optimiser, and the steps done.

    total: steps, with restarts those of a cycle. per_epoch: steps per epoch. A state of the same
    fit in run_dir is resumed; one of another fit raises TrainingError.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: FitConfig,
        network: nn.Module,
        *,
        run_dir: Path,
        total: int,
        per_epoch: int,
        optimizer: OptimizerSettings,
    ) -> None:
        self.config, self.network, self.run_dir = config, network, run_dir
        self.total, self.optimizer_settings, self.name = total, optimizer, config.backend
        self.key, self._former_key = state_key(dataset, config), former_key(dataset, config)
        self.device = torch.device(config.device)
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = WeightAverage(network, optimizer.ema)
        self.optimizer = torch.optim.AdamW(_parameter_groups(network, optimizer))
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.period = _period(config, total, per_epoch)
        self.step, self.seconds, self.at_once = 0, 0.0, config.batch_size
        self.best: dict[str, Tensor] | None = None
        self._best_ap, self._worse = -1.0, 0
        self._figures: dict[str, float] = {}
        self._validations, self._validated_at = (
            0,
            0.0,
        )  # so far, and the share of the cycle at the last one
        self._cycle = Cycle()
        self._resume()

    @property
    def ended(self) -> bool:
        """Return whether the fit is over: steps done, stopped, out of time, or no improvement."""
        limit, patience = self.config.time_limit, self.config.early_stopping
        return (
            self.step >= self._cycle.step + self.total
            or (self.run_dir / STOP).exists()
            or (limit is not None and self.seconds >= limit)
            or bool(patience and self._worse >= patience)
        )

    @property
    def weights(self) -> dict[str, Tensor]:
        """Return the weights to keep: the best on val when val decides, else the average."""
        return self.average.weights if self.best is None else self.best

    @property
    def meta(self) -> dict[str, Any]:
        """Return the progress, for the checkpoint."""
        return {"step": self.step, "total": self.total, "seconds": round(self.seconds, 2)}

    def run(
        self, task: BatchesAndLoss[Any], report: Report, validator: Validator | None = None
    ) -> None:
        """Take the remaining steps, or as many as time limit, stop file and patience allow."""
        self.network.train()
        self._fit_batch(task, report)
        last_step = saved = time.monotonic()
        with ThreadPoolExecutor(1) as ahead:
            drawn = ahead.submit(task.batch, self.step)
            while not self.ended:
                samples, drawn = drawn.result(), ahead.submit(task.batch, self.step + 1)
                lr = self._rate()
                figures = self._take_step(task, samples, lr)
                self.step += 1
                self.seconds += min(time.monotonic() - last_step, _LONGEST_STEP)
                last_step = time.monotonic()
                report(self._progress({**figures, "lr": lr}))
                if validator and self._is_due():
                    self._validate(validator)
                    last_step = time.monotonic()  # validation does not count as training time
                if time.monotonic() - saved >= self.optimizer_settings.save_every:
                    self._save()
                    saved = time.monotonic()
        self._save()

    def _rate(self) -> float:
        highest = rate(self.config, self._done(), warmup=self.optimizer_settings.warmup)
        return highest * 0.5**self._cycle.number

    def _is_due(self) -> bool:
        """Return whether to validate now; with restarts the time limit counts like the steps."""
        if not self.period:
            return False
        if self.config.schedule != "restarts" or self.config.evaluation_period is not None:
            return self.step % self.period == 0
        return self.ended or self._done() - self._validated_at >= 1 / _VALIDATIONS

    def _validate(self, validator: Validator) -> None:
        self._validations, self._validated_at = self._validations + 1, self._done()
        found = validator(
            self.average.weights,
            self._validations,
            max(self._validations, (self._cycle.step + self.total) // self.period),
        )
        self._figures = dict(found)
        if self.config.schedule == "restarts":
            self._keep_best(found["ap"])
            if self.ended:
                self._begin_cycle(found["ap"])
        elif self.config.early_stopping:
            if found["ap"] > self._best_ap:
                self._best_ap, self._worse, self.best = found["ap"], 0, self.average.copy()
            else:
                self._worse += 1

    def _keep_best(self, ap: float) -> None:
        # Of two that are equally good, keep the later one: its learning rate is lower.
        if ap >= self._best_ap - _MIN_CYCLE_GAIN:
            self.best = self.average.copy()
        self._best_ap = max(ap, self._best_ap)

    def _begin_cycle(self, ap: float) -> None:
        """Start another cycle if the last one improved AP and there is time for more."""
        last, limit = self._cycle, self.config.time_limit
        took = self.seconds - last.seconds
        short = limit is not None and limit - self.seconds < _MIN_CYCLE_TIME * took
        stopped = (self.run_dir / STOP).exists()
        if stopped or short or last.number + 1 >= _CYCLES or ap < last.ap + _MIN_CYCLE_GAIN:
            return
        self._cycle = Cycle(last.number + 1, self.step, self.seconds, ap)
        self._validated_at = 0.0

    def _progress(self, figures: Mapping[str, float]) -> Progress:
        total = self._cycle.step + self.total
        left = self.seconds / self.step * (total - self.step)
        if self.config.time_limit is not None:
            left = min(left, max(0.0, self.config.time_limit - self.seconds))
        return Progress("fit", self.step, total, left, {**figures, **self._figures})

    def _done(self) -> float:
        # The schedule ends where the fit ends, by steps or by time, whichever is nearer.
        begun, limit = self._cycle, self.config.time_limit
        done = (self.step - begun.step) / self.total
        if limit is None or limit <= begun.seconds:
            return done
        return max(done, min(1.0, (self.seconds - begun.seconds) / (limit - begun.seconds)))

    def _fit_batch(self, task: BatchesAndLoss[Any], report: Report) -> None:
        """Choose how many samples fit into memory at once; the batch is processed in such parts."""
        before = {name: value.clone() for name, value in self.network.state_dict().items()}
        few = (list(task.batch(self.step)) * 2)[:2]
        with self._guarded():
            need = measure_memory(self.network, lambda: self._loss(task, few)[0], len(few))
        self.network.load_state_dict(before)  # the normalisation layers have seen these samples
        free = free_bytes(self.device)
        most = need.most(free)
        if most < 1:
            raise TrainingError(
                self.name,
                f"a single image of {self.config.image_size} needs about "
                f"{need.of(1) // _MEBIBYTE} MiB to train on, {free // _MEBIBYTE} MiB are free: "
                "choose a smaller image_size or precision=bf16",
            )
        self.at_once = min(self.config.batch_size, most)
        figures = {
            "needs_mib": need.of(self.at_once) / _MEBIBYTE,
            "free_mib": free / _MEBIBYTE,
            "at_once": float(self.at_once),
        }
        report(Progress("memory", 1, 1, None, figures))

    def _take_step(
        self, task: BatchesAndLoss[Any], samples: Sequence[Any], lr: float
    ) -> dict[str, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = lr * group["factor"]
        self.optimizer.zero_grad(set_to_none=True)
        figures: dict[str, float] = {}
        # Random numbers inside the network (dropout) depend on the step alone, also after a resume.
        with torch.random.fork_rng(devices=[]), self._guarded():
            torch.manual_seed(self.config.seed * 1_000_003 + self.step)
            for start in range(0, len(samples), self.at_once):
                part = samples[start : start + self.at_once]
                total, parts = self._loss(task, part)
                share = len(part) / len(samples)
                for name, value in {"loss": total, **parts}.items():
                    figures[name] = figures.get(name, 0.0) + share * float(value.detach())
                self._scaler.scale(total * share).backward()  # type: ignore[no-untyped-call]
            self._scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.optimizer_settings.clip)
            self._scaler.step(self.optimizer)
            self._scaler.update()
        self.average.update(self.network, self.step)
        return figures

    def _loss(
        self, task: BatchesAndLoss[Any], samples: Sequence[Any]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(self.config.precision)
        with torch.autocast(self.device.type, dtype=kind, enabled=kind is not None):
            total, parts = task.loss(self.network, samples)
        if not torch.isfinite(total):
            raise TrainingError(
                self.name,
                f"the loss is {float(total.detach())} at step {self.step}; lower the learning rate "
                f"({self.config.learning_rate})",
            )
        return total, parts

    def _guarded(self) -> Any:
        return memory_errors(self.name, batch=self.at_once, image_size=self.config.image_size)

    def _save(self) -> None:
        values = {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "average": self.average.weights,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "best": self.best,
            "looks": [self._best_ap, self._worse, self._figures],
            "cycle": [self._validations, self._validated_at, *dataclasses.astuple(self._cycle)],
        }
        save_state(self.run_dir, self.key, values, self.name)

    def _resume(self) -> None:
        state = read_state(self.run_dir, self.key, self.device, self.name, former=self._former_key)
        if state is None:
            return
        self.network.load_state_dict(current_parameters(state["network"]))
        self.average.weights = current_parameters(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        self.step, self.seconds = state["step"], state["seconds"]
        self.best = None if state["best"] is None else current_parameters(state["best"])
        self._best_ap, self._worse, self._figures = state["looks"]
        self._validations, self._validated_at, *cycle = state["cycle"]
        self._cycle = Cycle(*cycle)


def _period(config: FitConfig, total: int, per_epoch: int) -> int:
    """Return the steps between validations; 0 for never."""
    if config.evaluation_period is None:
        return max(1, total // _VALIDATIONS)
    return config.evaluation_period * per_epoch


def _parameter_groups(network: nn.Module, tuning: OptimizerSettings) -> list[dict[str, Any]]:
    """Apply weight decay to kernels only, not to norms and biases; skip frozen parameters."""
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((tuning.factor(name), parameter.ndim > 1), []).append(parameter)
    return [
        {"params": kept, "factor": factor, "weight_decay": tuning.weight_decay if kernel else 0.0}
        for (factor, kernel), kept in groups.items()
    ]
