"""Learning by ultralytics' own trainer, in this process, in run_dir and nowhere else."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.backends.yolo.checkpoint import base_weights, save_checkpoint
from trainer.backends.yolo.layout import lay_out
from trainer.backends.yolo.offline import quiet
from trainer.backends.yolo.settings import Settings, network_size, read_settings
from trainer.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import TrainingError

CHECKPOINT = "checkpoint.pt"
STATE = "state.pt"  # ultralytics' last.pt, kept before it is stripped at the end
KEY = "key.json"
STOP = "stop"  # a file of this name in run_dir ends the fit after the batch at work
LOG = "yolo.log"

_FIGURES = {"metrics/mAP50-95(B)": "ap", "metrics/mAP50(B)": "ap50"}
_MASK_FIGURES = {"metrics/mAP50-95(M)": "ap", "metrics/mAP50(M)": "ap50"}


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Learn from the train part; see Backend.fit. Keeps the best epoch on val, if there is val."""
    settings = read_settings(config)
    run_dir = run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    key = {"dataset": dataset.fingerprint, "config": _plain(config, settings)}
    _check_key(run_dir, key)
    with quiet(run_dir / LOG):
        notes, model = _beginning(dataset, config, settings, run_dir)
        data, has_val = lay_out(
            dataset,
            run_dir / "data",
            masks=settings.task == "masks",
            told=lambda n, of: report(Progress("read", n, of)),
        )
        watch = _Watch(config, settings, run_dir, report, figures=has_val)
        trained = _train(model, data, config, settings, run_dir, watch, val=has_val)
        meta = {
            "task": settings.task,
            "image_size": list(network_size(config)),
            "epochs": watch.epochs,
            "seconds": round(watch.seconds, 2),
            "notes": notes,
            "settings": key["config"],
            "fingerprint": dataset.fingerprint,
        }
        save_checkpoint(run_dir / CHECKPOINT, trained, meta)
    return run_dir / CHECKPOINT


class _Watch:
    """Listens to ultralytics' trainer: tells of progress, stops it, keeps its state."""

    def __init__(
        self,
        config: FitConfig,
        settings: Settings,
        run_dir: Path,
        report: Callable[[Progress], None],
        *,
        figures: bool,
    ) -> None:
        self._config, self._run_dir, self._report = config, run_dir, report
        names = _MASK_FIGURES if settings.task == "masks" else _FIGURES
        self._names = names if figures else {}
        self._batch = self.epochs = 0
        self._begun: float | None = None
        clock = run_dir / "seconds.json"
        self._before = float(json.loads(clock.read_text())) if clock.exists() else 0.0

    @property
    def seconds(self) -> float:
        """Seconds of learning, those before a restart included."""
        return self._before + (0.0 if self._begun is None else time.monotonic() - self._begun)

    def callbacks(self) -> dict[str, Callable[[Any], None]]:
        """Return what to add to the trainer, by event."""
        return {
            "on_train_start": self._start,
            "on_train_epoch_start": self._start_epoch,
            "on_train_batch_end": self._end_batch,
            "on_model_save": self._keep_state,
        }

    def _start(self, _trainer: Any) -> None:
        self._begun = time.monotonic()

    def _start_epoch(self, _trainer: Any) -> None:
        self._batch = 0

    def _end_batch(self, trainer: Any) -> None:
        self._batch += 1
        batches = len(trainer.train_loader)
        done, total = trainer.epoch * batches + self._batch, trainer.epochs * batches
        begun_at = trainer.start_epoch * batches
        here = time.monotonic() - (self._begun or time.monotonic())
        left = here / max(1, done - begun_at) * (total - done)
        limit = self._config.time_limit
        if limit is not None:
            left = min(left, max(0.0, limit - self.seconds))
        figures = {
            "loss": float(sum(float(v) for v in trainer.tloss.values())),
            "lr": float(trainer.optimizer.param_groups[0]["lr"]),
        }
        figures |= {
            ours: float(trainer.metrics[theirs])
            for theirs, ours in self._names.items()
            if trainer.epoch > trainer.start_epoch and theirs in trainer.metrics
        }
        self._report(Progress("fit", done, total, left, figures))
        if (self._run_dir / STOP).exists() or (limit is not None and self.seconds >= limit):
            trainer.stop = True

    def _keep_state(self, trainer: Any) -> None:
        self.epochs = trainer.epoch + 1
        part = self._run_dir / f"{STATE}.part"
        shutil.copyfile(trainer.last, part)
        part.replace(self._run_dir / STATE)
        (self._run_dir / "seconds.json").write_text(json.dumps(self.seconds))


def _beginning(
    dataset: Dataset, config: FitConfig, settings: Settings, run_dir: Path
) -> tuple[list[str], str]:
    """Return what did not carry over from the base, and the network or weights to begin with."""
    if config.base is None:
        return [], settings.model + ("-seg" if settings.task == "masks" else "") + ".yaml"
    weights, known = base_weights(config.base, run_dir, task=settings.task)
    notes = [f"class {n}: new, begun anew" for n in dataset.labels if n not in known.names]
    notes += [
        f"class {n}: of base, not among the labels now"
        for n in known
        if n not in dataset.labels.names
    ]
    return notes, str(weights)


def _train(
    model: str,
    data: Path,
    config: FitConfig,
    settings: Settings,
    run_dir: Path,
    watch: _Watch,
    *,
    val: bool,
) -> Path:
    """Run ultralytics' trainer and return its best weights."""
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    state = run_dir / STATE
    overrides = {
        **settings.overrides(),
        "model": model,
        "data": str(data),
        "epochs": config.epochs,
        "batch": config.batch_size,
        # A step each batch: by itself ultralytics gathers 64 images for one, which on few images
        # leaves hardly any steps.
        "nbs": config.batch_size,
        "imgsz": max(network_size(config)),
        "lr0": config.learning_rate,
        "seed": config.seed,
        "device": config.device,
        "workers": config.workers,
        "val": val,
        "plots": False,  # they need a font from the network
        "verbose": False,
        "exist_ok": True,
        "project": str(run_dir),
        "name": "ultralytics",
    }
    weights = run_dir / "ultralytics" / "weights"
    if state.exists():
        if (run_dir / STOP).exists() or _finished(state, config.epochs):
            return weights / "best.pt"
        overrides |= {"resume": str(state), "save_dir": str(run_dir / "ultralytics")}
    kind = SegmentationTrainer if settings.task == "masks" else DetectionTrainer
    try:
        trainer: Any = kind(overrides=overrides)
        for event, callback in watch.callbacks().items():
            trainer.add_callback(event, callback)
        trainer.train()
    except (RuntimeError, ValueError, AssertionError, OSError, TypeError) as error:
        raise TrainingError("yolo", str(error), run_dir / LOG) from error
    return Path(trainer.best if trainer.best.exists() else trainer.last)


def _finished(state: Path, epochs: int) -> bool:
    import torch

    # Ours: it was copied in this folder from what ultralytics had just written.
    return int(torch.load(state, map_location="cpu", weights_only=False)["epoch"]) + 1 >= epochs


def _check_key(run_dir: Path, key: dict[str, Any]) -> None:
    path = run_dir / KEY
    if not path.exists():
        path.write_text(json.dumps(key))
        return
    before = json.loads(path.read_text())
    differ = [k for k in key if before.get(k) != key[k]]
    if differ:
        raise TrainingError(
            "yolo", f"{run_dir} holds a fit of another {' and '.join(differ)}; use a new folder"
        )


def _plain(config: FitConfig, settings: Settings) -> dict[str, Any]:
    """Return the settings that decide what is learnt, as JSON values."""
    values = dataclasses.asdict(config) | {
        "image_size": list(config.image_size),
        "base": None if config.base is None else str(config.base),
        "extra": dataclasses.asdict(settings),
    }
    for name in ("device", "workers", "time_limit"):
        del values[name]
    return values
