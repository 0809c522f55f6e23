"""Whole rounds of projects of rising size, each in a process of its own."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure

TASKS = 200


def rounds(sizes: Sequence[int]) -> list[Figure]:
    """Measure a round of each size, and how time grows from the smallest to the largest."""
    measured = {frames: _measured(frames) for frames in sorted(sizes)}
    figures = [figure for frames, one in measured.items() for figure in _figures(frames, one)]
    low, high = min(measured), max(measured)
    if low == high:
        return figures
    exponent = math.log(measured[high]["seconds"] / measured[low]["seconds"]) / math.log(high / low)
    note = f"of processor seconds, from {low} to {high} frames, SQLite"
    return [*figures, Figure("growth_exponent", exponent, "", note=note)]


def _figures(frames: int, one: dict[str, Any]) -> list[Figure]:
    steps = ", ".join(f"{k[:-2]} {v:.1f}" for k, v in one.items() if k.endswith("_s"))
    note = (
        f"processor seconds of facts, predict (all known), record, select and prioritise; {TASKS} "
        f"tasks, SQLite; by step: {steps}"
    )
    return [
        Figure(f"round_seconds/{frames}", one["seconds"], "s", note=note),
        Figure(f"peak_mb/{frames}", one["peak_mb"], "MB", note="of the process of that round"),
    ]


def _measured(frames: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "tests.bench.scaling.one_round"),
            *("--frames", str(frames), "--tasks", str(TASKS), "--home", folder),
        ]
        root = Path(__file__).parents[3]
        subprocess.run([*command, "--fill"], check=True, cwd=root)
        done = subprocess.run(command, check=True, cwd=root, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
