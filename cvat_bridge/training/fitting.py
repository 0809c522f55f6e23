"""A fit in a process of its own: it can crash or run out of memory and the bridge goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cvat_bridge.config import ENVIRONMENT
from cvat_bridge.errors import BridgeError
from cvat_bridge.progress import Report, quiet
from trainer.data.files import parse_json
from trainer.detector import FitConfig

LOG_NAME, CONFIG_NAME = "fit.log", "fit.yaml"


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
    settings: FitConfig,
    *,
    run_dir: Path,
    name: str,
    base: Path | None = None,
    report: Report = quiet,
    split: str = "none",
    mlflow: str = "none",
    experiment: str = "",
    on_event: Callable[[Mapping[str, Any]], None] | None = None,
    halt: threading.Event | None = None,
) -> Fitted:
    """Fit in run_dir, going on with what a killed try left there.

    split: part to evaluate on, see `trainer fit`. mlflow: where live figures go, or "none".
    experiment: in MLflow, one for all fits that are charted together; the name's if "".
    on_event: hears every event (see trainer.events) with its figures, besides report.
    halt: set it and the process is ended as it is; a later call goes on from its last state.
    Raises FitFailedError with the trainer's own words, or its last lines when it crashed.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    config = run_dir / CONFIG_NAME
    config.write_text(fit_file(settings, base), encoding="utf-8")
    log = run_dir / LOG_NAME
    last: deque[str] = deque(maxlen=20)
    answer: Mapping[str, Any] = {}
    fault: Mapping[str, Any] = {}
    with (
        log.open("a", encoding="utf-8") as errors,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "trainer", "fit", "--json", "--config", str(config)),
                *("--data", str(dataset), "--out", str(run_dir), "--name", name, "--split", split),
                *(("--experiment", experiment) if experiment else ()),
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
        if halt is not None:
            threading.Thread(target=_end_on, args=[halt, process], daemon=True).start()
        for line in process.stdout:
            errors.write(line)
            last.append(line.rstrip())
            event = _event(line)
            if on_event is not None and event:
                on_event(event)
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


def _end_on(halt: threading.Event, process: subprocess.Popen[str]) -> None:
    """End a process once the event is set; return when it has ended by itself."""
    while process.poll() is None:
        if halt.wait(0.2):
            process.terminate()
            return


# Settings of a backend that name published weights to begin with: a base takes their place.
BEGINNINGS = ("pretrained", "weights_sha256")


def fit_environment() -> dict[str, str]:
    """Return the fit's environment: ours, without our secrets and with threads that do not spin.

    On a busy machine spinning OpenMP threads make a step many times slower; the setting must be
    there before torch is loaded.
    """
    secret = set(ENVIRONMENT.values())
    kept = {name: value for name, value in os.environ.items() if name not in secret}
    return {"OMP_WAIT_POLICY": "PASSIVE", **kept}


def fit_file(settings: FitConfig, base: Path | None) -> str:
    """Return the YAML of a fit, which `trainer fit --config` checks and reads.

    base: weights to begin with. What says where a first fit begins is left out beside one.
    """
    values = settings.given
    if base is not None:
        kept = {k: v for k, v in values["extra"].items() if k not in BEGINNINGS}
        values |= {"base": str(base), "extra": kept}
    return yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False)


def _event(line: str) -> Mapping[str, Any]:
    try:
        event = parse_json(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
