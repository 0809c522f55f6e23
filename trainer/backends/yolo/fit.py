"""Train with ultralytics' own trainer, in this process; it writes to run_dir only."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.backends.fit_checks import devices_of
from trainer.backends.learning.memory import memory_errors
from trainer.backends.learning.schedule import stepped
from trainer.backends.learning.state import STATE, STOP, disk_errors
from trainer.backends.yolo.callbacks import TrainingCallbacks
from trainer.backends.yolo.capacity import fitting_batch
from trainer.backends.yolo.checkpoint import base_weights, save_checkpoint
from trainer.backends.yolo.layout import write_layout
from trainer.backends.yolo.offline import quiet
from trainer.backends.yolo.relay import relaying
from trainer.backends.yolo.settings import YoloSettings, network_size, read_settings
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.errors import TrainingError

CHECKPOINT = "checkpoint.pt"
KEY = "key.json"
LOG = "yolo.log"


def fit(
    dataset: Dataset, config: FitConfig, *, run_dir: Path, report: Callable[[Progress], None]
) -> Path:
    """Train on the train part; see Backend.fit. Keeps the best epoch on val, if there is val."""
    settings = read_settings(config)
    run_dir = run_dir.resolve()
    run_dir.mkdir(parents=True, exist_ok=True)
    key = {"dataset": dataset.fingerprint, "config": _settings_json(config, settings)}
    _check_key(run_dir, key)
    with quiet(run_dir / LOG):
        notes, model = _initial_model(dataset, config, settings, run_dir)
        data, has_val = write_layout(
            dataset,
            run_dir / "data",
            masks=settings.task == "masks",
            on_done=lambda n, of: report(Progress("read", n, of)),
        )
        watch = TrainingCallbacks(config, settings, run_dir, report, dataset)
        batch = fitting_batch(model, config, report)
        trained = _train(model, data, config, settings, run_dir, watch, batch=batch, val=has_val)
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


def _initial_model(
    dataset: Dataset, config: FitConfig, settings: YoloSettings, run_dir: Path
) -> tuple[list[str], str]:
    """Return what was not loaded from the base, and the network or weights to start from."""
    if config.base is None:
        return [], settings.model + ("-seg" if settings.task == "masks" else "") + ".yaml"
    weights, known = base_weights(config.base, run_dir, task=settings.task)
    notes = [
        f"class {n}: new, initialised at random" for n in dataset.labels if n not in known.names
    ]
    notes += [
        f"class {n}: in the base, not among the labels"
        for n in known
        if n not in dataset.labels.names
    ]
    return notes, str(weights)


def _train(
    model: str,
    data: Path,
    config: FitConfig,
    settings: YoloSettings,
    run_dir: Path,
    watch: TrainingCallbacks,
    *,
    batch: int,
    val: bool,
) -> Path:
    """Run ultralytics' trainer and return its best weights."""
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.models.yolo.segment import SegmentationTrainer

    state = run_dir / STATE
    overrides = {
        **settings.overrides(config),
        "model": model,
        "data": str(data),
        "epochs": config.epochs,
        "batch": batch,
        # One optimiser step per batch_size images, accumulated from smaller batches when memory
        # is short: ultralytics' default of 64 leaves hardly any steps on few images.
        "nbs": config.batch_size,
        "imgsz": max(network_size(config)),
        "lr0": config.learning_rate,
        "seed": config.seed,
        "device": ",".join(d.removeprefix("cuda:") for d in devices_of(config)),
        "workers": config.workers,
        "val": val,
        "plots": False,  # they would download a font
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
    if config.schedule == "step":
        kind = with_step_schedule(kind, config)
    try:
        with (
            disk_errors(state.with_suffix(".part"), "yolo"),
            memory_errors("yolo", batch=batch, image_size=config.image_size),
        ):
            trainer: Any = kind(overrides=overrides)
            for event, callback in watch.callbacks().items():
                trainer.add_callback(event, callback)
            if len(devices_of(config)) == 1:
                trainer.train()
            else:
                with relaying(run_dir, watch.hear):
                    trainer.train()
                watch.catch_up()
    except subprocess.CalledProcessError as error:
        raise TrainingError(
            "yolo",
            f"the processes on {config.device} ended with exit code {error.returncode}; their "
            "messages are in the output of this fit",
        ) from error
    except (RuntimeError, ValueError, AssertionError, OSError, TypeError) as error:
        raise TrainingError("yolo", str(error), run_dir / LOG) from error
    return Path(trainer.best if trainer.best.exists() else trainer.last)


def with_step_schedule(kind: Any, config: FitConfig) -> Any:
    """Return ultralytics' trainer class with a step schedule, which it lacks."""

    class StepScheduleTrainer(kind):  # type: ignore[misc]
        def _setup_scheduler(self) -> None:
            super()._setup_scheduler()
            from torch.optim.lr_scheduler import LambdaLR

            self.lf = lambda epoch: stepped(config, epoch)
            self.scheduler = LambdaLR(self.optimizer, lr_lambda=self.lf)

    return StepScheduleTrainer


def _finished(state: Path, epochs: int) -> bool:
    import torch

    # Our own file: copied into this folder from what ultralytics had just written.
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
            "yolo", f"{run_dir} contains a fit of another {' and '.join(differ)}; use a new folder"
        )


def _settings_json(config: FitConfig, settings: YoloSettings) -> dict[str, Any]:
    """Return the settings that determine the training, as JSON values."""
    values = config.to_json() | {"extra": dataclasses.asdict(settings)}
    for name in ("device", "workers", "time_limit"):
        del values[name]
    return values
