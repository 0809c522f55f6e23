"""A fit left alone, one stopped half-way and gone on with, one killed and begun again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

JUDGED = ("--split", "val", "--mlflow", "none")
STEPS = ("--set", "steps=240", "--set", "save_every=1")
BACKENDS = {
    "centernet": ["--image-size", "96x128", "--batch-size", "8", *STEPS],
    "yolo": ["--image-size", "96x96", "--batch-size", "8", "--epochs", "16"],
}


@dataclass(frozen=True)
class Resumed:
    """AP on val. weights: largest difference of a weight between alone and stopped, or NaN."""

    alone: float
    stopped: float
    killed: float
    weights: float


def resumed(name: str, data: Path, folder: Path, seed: int) -> Resumed:
    """Learn three times with the same settings."""
    folder.mkdir(parents=True)
    asked = ["--backend", name, "--data", str(data), "--seed", str(seed), *JUDGED]
    asked += ["--evaluation-period", "0", *BACKENDS[name]]

    def command(out: Path) -> list[str]:
        return [sys.executable, "-m", "trainer", "fit", "--json", "--out", str(out), *asked]

    alone, stopped, killed = (folder / kind for kind in ("alone", "stopped", "killed"))
    subprocess.run(command(alone), check=True, capture_output=True)
    _until_half(command(stopped), stopped, kill=False)
    subprocess.run(
        [sys.executable, "-m", "trainer", "resume", str(stopped), "--json", *JUDGED],
        check=True,
        capture_output=True,
    )
    _until_half(command(killed), killed, kill=True)
    subprocess.run(command(killed), check=True, capture_output=True)
    found = [_ap(out) for out in (alone, stopped, killed)]
    print(json.dumps({"backend": name, "seed": seed, "ap": found}), flush=True)
    return Resumed(*found, _difference(alone, stopped))


def _until_half(command: list[str], out: Path, *, kill: bool) -> None:
    """Run until half of the steps are done, then stop or kill; wait for the end."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    if process.stdout is None:
        raise RuntimeError("no output to read")
    for line in process.stdout:
        event = json.loads(line)
        half = event.get("stage") == "fit" and event["done"] >= event["total"] / 2
        if half and kill:
            if not (out / "fit" / "state.pt").exists():
                continue
            process.kill()
            break
        if half:
            subprocess.run([sys.executable, "-m", "trainer", "stop", str(out)], check=True)
            break
    process.stdout.read()
    process.wait()
    time.sleep(0.5)


def _ap(out: Path) -> float:
    return float(json.loads((out / "evaluation.json").read_text())["ap"] or 0.0)


def _difference(one: Path, other: Path) -> float:
    paths = [out / "fit" / "checkpoint.npz" for out in (one, other)]
    if not all(path.exists() for path in paths):
        return float("nan")
    with np.load(paths[0]) as a, np.load(paths[1]) as b:
        return max(
            float(np.abs(a[k].astype(np.float64) - b[k]).max())
            for k in a.files
            if not k.startswith("__") and a[k].size
        )
