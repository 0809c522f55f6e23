"""The two programs that are compared, as processes whose use is measured by the system."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trainer.backends.yolo.layout import write_layout
from trainer.backends.yolo.settings import read_settings
from trainer.data.dataset import load_dataset
from trainer.detector import FitConfig

_PEER = (
    "from trainer.backends.yolo.offline import isolate; isolate(); "
    "from ultralytics.cfg import entrypoint; entrypoint()"
)


@dataclass(frozen=True)
class Used:
    """wall, processor: seconds. memory: MiB at the highest. ap: best on val over the epochs."""

    wall: float
    processor: float
    memory: float
    ap: float


def ours(data: Path, config: FitConfig, out: Path) -> Used:
    """Run `trainer fit`, live figures in MLflow and the event stream included.

    The runs of all seeds lie beside each other, as people's do: MLflow's store is theirs together.
    """
    out.mkdir(parents=True)
    run = out.parent.parent / "runs" / out.parent.name
    command = [sys.executable, "-m", "trainer", "fit", "--json", "--split", "none"]
    command += ["--backend", "yolo", "--data", str(data), "--out", str(run)]
    command += ["--epochs", str(config.epochs), "--batch-size", str(config.batch_size)]
    command += ["--image-size", "x".join(map(str, config.image_size)), "--seed", str(config.seed)]
    command += ["--learning-rate", str(config.learning_rate)]
    wall, processor, memory = _measured(command, out)
    return Used(wall, processor, memory, _best(run / "fit" / "ultralytics"))


def ultralytics(data: Path, config: FitConfig, out: Path) -> Used:
    """Run ultralytics' own train and export with the settings that we hand to it."""
    out.mkdir(parents=True)
    layout, _ = write_layout(load_dataset(data), out / "data", masks=False, on_done=lambda *_: None)
    settings = read_settings(config)
    values = {
        **settings.overrides(config),
        "model": f"{settings.model}.yaml",
        "data": layout,
        "epochs": config.epochs,
        "batch": config.batch_size,
        "nbs": config.batch_size,
        "imgsz": max(config.image_size),
        "lr0": config.learning_rate,
        "seed": config.seed,
        "device": "cpu",
        "workers": 0,
        "plots": False,
        "verbose": False,
        "project": out,
        "name": "run",
    }
    told = [f"{key}={value}" for key, value in values.items()]
    first = _measured([sys.executable, "-c", _PEER, "detect", "train", *told], out)
    best = out / "run" / "weights" / "best.pt"
    then = _measured(
        [sys.executable, "-c", _PEER, "export", f"model={best}", "format=onnx", "simplify=False"],
        out,
    )
    return Used(first[0] + then[0], first[1] + then[1], max(first[2], then[2]), _best(out / "run"))


def _measured(command: list[str], out: Path) -> tuple[float, float, float]:
    began = time.monotonic()
    with (out / "log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError((out / "log").read_text()[-2000:])
    wall = time.monotonic() - began
    return wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _best(folder: Path) -> float:
    with (folder / "results.csv").open() as file:
        rows = [{k.strip(): v for k, v in row.items()} for row in csv.DictReader(file)]
    return max(float(row["metrics/mAP50-95(B)"]) for row in rows)
