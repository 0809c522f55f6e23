"""What it costs that models run in processes of their own: latency, memory, and beside bad ones.

    python -m tests.bench --only isolation

Two hosts serve the same models, one with `--isolation none`. They are asked in turn, so that what
else the machine does falls on both alike. For the memory, ten YOLO models in the host's workers
stand against ten processes of one each. A good model is called alone and beside ones that crash,
hang and eat memory, in short turns for the same reason.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import requests

from serverless.host.server import running
from serverless.store.functions import publish
from tests.bench.figures import Figure, write
from tests.bench.interacting.latency import SIZES, click
from tests.bench.interacting.pictures import photo
from tests.bench.modelling.memory import entry, host, processes
from tests.faults.campaign import good_times, hosted, provoked

Ask = Callable[[str, int], float]  # the host's URL, the round → seconds

WAYS = ("model", "none")
PEER = "models in the host's own process"
PARTS = ("latency", "memory", "beside")
TURN_SECONDS = 8.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write isolation_latency_ratio, isolation_memory_ratio and good_p95_with_bad."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.isolation")
    parser.add_argument("--data", type=Path, help="not read: pictures are drawn")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--part", choices=PARTS, help="one of them")
    given = parser.parse_args(arguments)
    made: list[Figure] = []
    if given.part in (None, "latency"):
        made += figures(rounds=given.rounds)
    if given.part in (None, "memory"):
        made.append(memory(given.models))
    if given.part in (None, "beside"):
        made.append(beside(given.rounds))
    write("isolation", made)


def memory(models: int) -> Figure:
    """Return isolation_memory_ratio: workers of one host against processes that know no host."""
    with tempfile.TemporaryDirectory(prefix="bench-isolation-") as scratch:
        folder = Path(scratch)
        entries = [entry(folder, n) for n in range(models)]
        body = {"image": base64.b64encode(photo((480, 640), 0)).decode(), "threshold": 0.5}
        ours, _ = host(folder / "functions", entries, body)
        theirs, _ = processes(folder, entries, body)
    return Figure(
        "isolation_memory_ratio",
        ours,
        "MiB (PSS)",
        f"{models} processes of one model each, MiB (PSS)",
        theirs,
        ours / theirs,
        f"{models} yolo11n of different weights, a process each in both; at rest after calls",
    )


def beside(turns: int) -> Figure:
    """Return good_p95_with_bad: calls of a good model, alone and beside bad ones, in turns."""
    alone: list[float] = []
    with_bad: list[float] = []
    failed = 0
    with (
        tempfile.TemporaryDirectory(prefix="bench-isolation-") as scratch,
        hosted(Path(scratch)) as (url, _),
    ):
        for _turn in range(turns):
            alone += good_times(url, lambda: False, TURN_SECONDS)[0]
            (_, good), times = provoked(url, TURN_SECONDS)
            with_bad += times
            failed += good.tried - good.held
    before, after = (1000 * float(np.percentile(times, 95)) for times in (alone, with_bad))
    return Figure(
        "good_p95_with_bad",
        after,
        "ms",
        "the same model alone",
        before,
        after / before,
        f"{len(with_bad)} calls in {turns} turns, {failed} of them failed",
    )


def figures(*, rounds: int = 16) -> list[Figure]:
    """Return isolation_latency_ratio of a first click, a later one and a detector's call."""
    made = []
    with tempfile.TemporaryDirectory(prefix="bench-isolation-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        publish(folder / "functions", entry(folder, 0))
        urls = [
            stack.enter_context(
                running(
                    folder / "functions", log=folder / "log", options=("--isolation", isolation)
                )
            )
            for isolation in WAYS
        ]
        for label, size in SIZES.items():
            images = [photo(size, seed) for seed in range(rounds + 2)]

            asks: dict[str, Ask] = {
                "first_click": partial(_click, images, size, 0),
                "later_click": partial(_click, images, size, 1),
                "detector": partial(call, images),
            }
            made += [compared(f"{name}/{label}", urls, ask, rounds) for name, ask in asks.items()]
    return made


def compared(name: str, urls: Sequence[str], ask: Ask, rounds: int) -> Figure:
    """Ask both hosts in turn and compare the medians; the first two rounds are not counted."""
    seconds = np.zeros((rounds + 2, len(urls)))
    for n in range(rounds + 2):
        for which in (0, 1) if n % 2 else (1, 0):
            seconds[n, which] = ask(urls[which], n)
    seconds = seconds[2:]
    apart, within = 1000 * np.median(seconds, axis=0)
    return Figure(
        f"isolation_latency_ratio/{name}",
        float(apart),
        "ms",
        PEER,
        float(within),
        float(apart / within),
        f"p50 of {rounds} requests each, in turn",
    )


def _click(images: Sequence[bytes], size: tuple[int, int], extra: int, url: str, n: int) -> float:
    return click(url, images[n], size, extra=extra)


def call(images: Sequence[bytes], url: str, n: int) -> float:
    """Return the seconds of one call of the detector."""
    began = time.perf_counter()
    answer = requests.post(
        f"{url}/api/function_invocations",
        json={"image": base64.b64encode(images[n]).decode(), "threshold": 0.5},
        headers={"x-nuclio-function-name": "model-0"},
        timeout=120,
    )
    answer.raise_for_status()
    return time.perf_counter() - began
