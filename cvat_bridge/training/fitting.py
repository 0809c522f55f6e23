"""A fit in a process of its own: it can crash or run out of memory and the bridge goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.config import ENVIRONMENT, TrainerSection
from cvat_bridge.errors import BridgeError
from cvat_bridge.progress import Report, quiet
from trainer.detector import FitConfig
from trainer.runs.fit_settings import fit_config

LOG_NAME = "fit.log"


class FitFailedError(BridgeError):
    """A fit ended without a model. kind: the trainer's error class, or "crash"."""

    def __init__(self, kind: str, message: str, log: Path) -> None:
        self.kind, self.message, self.log = kind, message, log
        super().__init__(f"the fit failed ({kind}): {message}. Its log: {log}")


@dataclass(frozen=True)
class Fitted:
    """What a fit left. bundle: the folder of the challenger. evaluation: None if not asked for."""

    bundle: Path
    seconds: float
    evaluation: Mapping[str, Any] | None = None


def run_fit(
    dataset: Path,
    settings: TrainerSection,
    *,
    run_dir: Path,
    name: str,
    base: Path | None = None,
    report: Report = quiet,
    split: str = "none",
    mlflow: str = "none",
    told: Callable[[Mapping[str, Any]], None] | None = None,
) -> Fitted:
    """Fit in run_dir, going on with what a killed try left there.

    split: part to evaluate on, see `trainer fit`. mlflow: where live figures go, or "none".
    told: hears every event (see trainer.events) with its figures, besides report.
    Raises FitFailedError with the trainer's own words, or its last lines when it crashed.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    log = run_dir / LOG_NAME
    last: deque[str] = deque(maxlen=20)
    answer: Mapping[str, Any] = {}
    fault: Mapping[str, Any] = {}
    with (
        log.open("a", encoding="utf-8") as errors,
        subprocess.Popen(
            [
                *fit_command(dataset, settings, run_dir=run_dir, name=name, base=base),
                *("--split", split),
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            # Not among the arguments, which every user of the machine can list: it may hold a
            # password.
            env={**fit_environment(), "TRAINER_MLFLOW": mlflow},
        ) as process,
    ):
        if process.stdout is None:
            raise FitFailedError("crash", "the fit gave no output to read", log)
        for line in process.stdout:
            errors.write(line)
            last.append(line.rstrip())
            event = _event(line)
            if told is not None and event:
                told(event)
            if event.get("event") == "progress":
                report(str(event.get("stage", "fit")), int(event["done"]), int(event["total"]))
            elif event.get("event") == "done":
                answer = event
            elif event.get("event") == "error":
                fault = event
    if process.returncode != 0 or not answer:
        if process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            last.append(
                "it was killed from outside, most likely by the system for want of memory: choose "
                "a smaller batch_size or image_size"
            )
        words = str(fault.get("message") or " / ".join(last) or f"exit code {process.returncode}")
        raise FitFailedError(str(fault.get("kind", "crash")), words, log)
    return Fitted(
        Path(answer["bundle"]), float(answer.get("seconds", 0.0)), answer.get("evaluation")
    )


# Settings of a backend that name published weights to begin with: a base takes their place.
BEGINNINGS = ("pretrained", "weights_sha256")


def fit_settings_of(settings: TrainerSection) -> FitConfig:
    """Give the section as the trainer reads it; trainer's ConfigError lists every fault."""
    values = settings.model_dump(exclude_none=True, exclude={"warm_start", "min_frames"})
    return fit_config(values)


def fit_environment() -> dict[str, str]:
    """Give the fit's environment: ours, without our secrets and with threads that do not spin.

    On a busy machine spinning OpenMP threads make a step many times slower; the setting must be
    there before torch is loaded.
    """
    secret = set(ENVIRONMENT.values())
    kept = {name: value for name, value in os.environ.items() if name not in secret}
    return {"OMP_WAIT_POLICY": "PASSIVE", **kept}


def fit_command(
    dataset: Path, settings: TrainerSection, *, run_dir: Path, name: str, base: Path | None
) -> list[str]:
    """Give the command line; what is not set is left to the backend."""
    command = [sys.executable, "-m", "trainer", "fit", "--json"]
    given = {
        "--data": dataset,
        "--out": run_dir,
        "--name": name,
        "--backend": settings.backend,
        "--epochs": settings.epochs,
        "--batch-size": settings.batch_size,
        "--learning-rate": settings.learning_rate,
        "--seed": settings.seed,
        "--time-limit": settings.time_limit,
        "--base": base,
        "--device": settings.device,
        "--schedule": settings.schedule,
        "--gamma": settings.gamma,
        "--milestones": ",".join(map(str, settings.milestones)) or None,
        "--regions-per-image": settings.regions_per_image,
        "--evaluation-period": settings.evaluation_period,
        "--early-stopping": settings.early_stopping,
        "--precision": settings.precision,
    }
    for option, value in given.items():
        if value is not None:
            command += [option, str(value)]
    if settings.image_size is not None:
        command += ["--image-size", "x".join(map(str, settings.image_size))]
    for key, value in settings.extra.items():
        if base is not None and key in BEGINNINGS:
            continue  # they say where the first fit begins; this one begins with the base
        command += ["--set", f"{key}={json.dumps(value)}"]
    return command


def _event(line: str) -> Mapping[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
