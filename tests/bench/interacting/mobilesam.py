"""MobileSAM through ultralytics, in a process of its own: seconds of clicks, and peak memory.

`python -m tests.bench.interacting.mobilesam HEIGHT WIDTH RUNS LATER` prints them as JSON. Its
weights are random: they cost the same time and memory as trained ones.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np

from tests.bench.interacting.pictures import scene

_LIMIT = 600.0


@dataclass(frozen=True)
class Measured:
    """Seconds of the first click on each picture, and of later ones; peak resident memory, MB."""

    first: list[float]
    later: list[float]
    peak_mb: float


def measure(size: tuple[int, int], *, runs: int = 3, later: int = 4) -> Measured:
    """Run it on pictures of (height, width) in a process of its own."""
    command = [sys.executable, "-m", __name__, *map(str, (*size, runs, later))]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, timeout=_LIMIT
    ).stdout
    return Measured(**json.loads(done.splitlines()[-1]))


def main() -> None:
    """Click, and print what it took."""
    from ultralytics.models.sam import Predictor
    from ultralytics.models.sam.build import build_mobile_sam

    height, width, runs, later = (int(text) for text in sys.argv[1:])
    predictor = Predictor(overrides={"imgsz": 1024, "verbose": False, "save": False})
    predictor.setup_model(build_mobile_sam().eval(), verbose=False)
    seconds: tuple[list[float], list[float]] = [], []
    x, y, r = width / 2, height / 2, min(height, width) / 4
    box = [x - r, y - r, x + r, y + r]
    for seed in range(runs):
        pixels = np.ascontiguousarray(scene((height, width), seed)[..., ::-1])
        began = time.perf_counter()
        predictor.set_image(pixels)
        predictor(bboxes=box)
        seconds[0].append(time.perf_counter() - began)
        for n in range(1, later + 1):
            negative = [[x + r * 0.95, y - r * (0.95 - 0.05 * k)] for k in range(n)]
            began = time.perf_counter()
            predictor(bboxes=box, points=[[[x, y], *negative]], labels=[[1, *[0] * n]])
            seconds[1].append(time.perf_counter() - began)
        predictor.reset_image()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Measured(*seconds, peak))))


if __name__ == "__main__":
    main()
