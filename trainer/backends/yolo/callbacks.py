"""Callbacks for ultralytics' trainer: progress, validation, stop file, saved state."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trainer.backends.learning.state import STATE, STOP, disk_errors
from trainer.backends.yolo.live import LiveDetector
from trainer.backends.yolo.relay import broadcast_stop, is_main_process, relay_reporter
from trainer.backends.yolo.settings import YoloSettings, network_size
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress
from trainer.evaluation.samples import write_samples

_FIGURES = {"metrics/mAP50-95(B)": "ap", "metrics/mAP50(B)": "ap50"}
_MASK_FIGURES = {"metrics/mAP50-95(M)": "ap", "metrics/mAP50(M)": "ap50"}
PROGRESS_FILE = "learnt.json"  # seconds and epochs so far
_PICTURES = 10  # of sample predictions per fit, at most about


class TrainingCallbacks:
    """Callbacks for ultralytics' trainer: report progress, stop it, save its state."""

    def __init__(
        self,
        config: FitConfig,
        settings: YoloSettings,
        run_dir: Path,
        report: Callable[[Progress], None],
        dataset: Dataset,
    ) -> None:
        self._config, self._run_dir, self._report = config, run_dir, report
        self._dataset = dataset
        names = _MASK_FIGURES if settings.task == "masks" else _FIGURES
        self._names = names if dataset.split("val") else {}
        self._batch = self.epochs = 0
        self._begun: float | None = None
        self._before = 0.0
        self.catch_up()

    @property
    def seconds(self) -> float:
        """Return the seconds of training, including those before a restart."""
        return self._before + (0.0 if self._begun is None else time.monotonic() - self._begun)

    def catch_up(self) -> None:
        """Read the time and epochs trained before, or in other processes."""
        clock = self._run_dir / PROGRESS_FILE
        if clock.exists():
            known = json.loads(clock.read_text())
            self._before, self.epochs = float(known["seconds"]), int(known["epochs"])

    def hear(self, step: Progress) -> None:
        """Forward a step reported by another process."""
        self._report(step)

    def callbacks(self) -> dict[str, Callable[[Any], None]]:
        """Return the callbacks to add to the trainer, by event."""
        return {
            "on_train_start": self._start,
            "on_train_epoch_start": self._start_epoch,
            "on_train_batch_end": self._end_batch,
            "on_train_epoch_end": self._end_epoch,
            "on_fit_epoch_end": self._look,
            "on_model_save": self._keep_state,
        }

    def __getstate__(self) -> dict[str, Any]:
        # With several devices ultralytics trains in processes of its own; see relay.
        return {**self.__dict__, "_report": relay_reporter(self._run_dir)}

    def _start(self, _trainer: Any) -> None:
        self._begun = time.monotonic()

    def _start_epoch(self, _trainer: Any) -> None:
        self._batch = 0

    def _end_batch(self, trainer: Any) -> None:
        self._batch += 1
        limit = self._config.time_limit
        if is_main_process():
            self._tell(trainer)
        if broadcast_stop(
            (self._run_dir / STOP).exists() or (limit is not None and self.seconds >= limit)
        ):
            trainer.stop = True

    def _tell(self, trainer: Any) -> None:
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

    def _end_epoch(self, trainer: Any) -> None:
        period = self._config.evaluation_period
        if not self._names or period is None:
            return
        number = trainer.epoch + 1
        trainer.args.val = bool(period) and number % period == 0
        if not trainer.args.val and number < trainer.epochs:
            trainer.fitness = None  # or this epoch would count as good as the last validation

    def _look(self, trainer: Any) -> None:
        """Report the validation metrics, sometimes with a picture."""
        if (
            not is_main_process()
            or not self._names
            or trainer.fitness is None
            or trainer.epoch < trainer.start_epoch
        ):
            return
        number = trainer.epoch + 1
        picture = None
        every = -(-trainer.epochs // _PICTURES)
        # After its last epoch ultralytics validates the best one again: not a new epoch.
        due = number % every == 0 and number <= trainer.epochs
        if due and trainer.ema is not None:
            live = LiveDetector(trainer.ema.ema, self._dataset.labels, network_size(self._config))
            path = self._run_dir / "samples" / f"{number:04d}.png"
            picture = write_samples(live, self._dataset, path, split="val")
        figures = {
            ours: float(trainer.metrics[theirs])
            for theirs, ours in self._names.items()
            if theirs in trainer.metrics
        }
        self._report(Progress("val", number, trainer.epochs, None, figures, picture))

    def _keep_state(self, trainer: Any) -> None:
        self.epochs = trainer.epoch + 1
        part = self._run_dir / f"{STATE}.part"
        with disk_errors(part, self._config.backend):
            shutil.copyfile(trainer.last, part)
            part.replace(self._run_dir / STATE)
        known = {"seconds": self.seconds, "epochs": self.epochs}
        (self._run_dir / PROGRESS_FILE).write_text(json.dumps(known))
