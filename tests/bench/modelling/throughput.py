"""Frames a second over a whole task: our command against the bare network and CVAT's two ways.

    python -m tests.bench.modelling.throughput [--bundle DIR] [--frames 300] [--repeats 3]

One network, one threshold, the same frames, the machine's cores for everybody. Bare is the network
alone on tensors that were decoded and scaled before, in batches of the same size, laid out over
the cores in the quicker of two ways (a batch a core, or one batch over all cores). The ways take
turns, so that what else the machine does falls on all of them; the figure is the median of the
ratios of each turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import yaml
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from numpy.typing import NDArray

from cvat_bridge import function
from cvat_bridge.sandbox import running
from serverless.host import running as hosting
from tests.bench.figures import Figure, write
from tests.bench.modelling.stage import FUNCTION, Server, frames, published, trained
from trainer.bundle import Bundle, read_bundle
from trainer.engines import load
from trainer.engines.yolo import letterbox
from trainer.images import decode

OBJECTS = 8  # a frame, on average: the threshold is set so
CORES = len(os.sched_getaffinity(0))
BATCH = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write the three figures into models.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.throughput")
    parser.add_argument("--data", type=Path, help="not read: frames are drawn")
    parser.add_argument("--bundle", type=Path, help="a YOLO bundle; else one is trained")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-throughput-") as folder:
        write("models", measure(Path(folder), given))


def measure(folder: Path, given: argparse.Namespace) -> list[Figure]:
    """Let the four ways take turns over the same frames."""
    bundle = read_bundle(given.bundle) if given.bundle else trained(folder)
    (folder / "frames").mkdir()
    files = frames(folder / "frames", given.frames)
    threshold = threshold_for(bundle, files[:24])
    store = folder / "functions"
    store.mkdir()
    published(store, bundle)
    bare = Bare(bundle, files)
    seconds: dict[str, list[float]] = {"bare": [], "ours": [], "cvat": [], "annotate_task": []}
    counts: dict[str, set[int]] = {name: set() for name in seconds if name != "bare"}
    with (
        hosting(store, builtin=False) as host,
        running(folder / "cvat", function_host=host) as sandbox,
    ):
        server = Server(sandbox.url, sandbox.admin_token)
        ways: dict[str, Callable[[int], float]] = {
            "ours": lambda task: ours(folder, server, bundle, task, threshold),
            "cvat": lambda task: by_menu(server, task, threshold),
            "annotate_task": lambda task: by_sdk(server, bundle, task, threshold),
        }
        for turn in range(given.repeats):
            before = bare.run()
            for name, way in ways.items():
                task = server.task(f"{name} {turn}", files)
                seconds[name].append(way(task))
                counts[name].add(len(server.shapes(task)))
            seconds["bare"].append((before + bare.run()) / 2)
    return figures(seconds, counts, given.frames, bare.layout)


def threshold_for(bundle: Bundle, files: Sequence[Path]) -> float:
    """Give the score that OBJECTS objects a frame reach."""
    pixels = [decode(path.read_bytes()) for path in files]
    found = load(bundle, threads=CORES).detect(pixels, min_score=0.01)
    scores = np.sort(np.concatenate([one.scores for one in found]))[::-1]
    return round(float(scores[min(len(scores), OBJECTS * len(files)) - 1]), 3)


class Bare:
    """The network alone over every frame."""

    def __init__(self, bundle: Bundle, files: Sequence[Path]) -> None:
        size = bundle.card.input_size
        # Kept as bytes and made floats a batch at a time would be work; kept as floats, a few
        # frames stand for all: the network's time does not depend on what they show.
        few = [letterbox(decode(path.read_bytes()), size)[0] for path in files[: 8 * BATCH]]
        self.batches = [
            np.stack(few[n : n + BATCH]).transpose(0, 3, 1, 2).astype(np.float32) / 255
            for n in range(0, len(few), BATCH)
        ]
        self.count = -(-len(files) // BATCH)
        layouts = {(1, CORES): load(bundle, threads=1), (CORES, 1): load(bundle, threads=CORES)}
        self.sessions = {layout: detector.session for layout, detector in layouts.items()}
        tries = {layout: [self._run(layout, 12) for _ in range(3)] for layout in layouts}
        self.layout = min(tries, key=lambda layout: statistics.median(tries[layout]))

    def run(self) -> float:
        """Give the seconds for all frames."""
        return self._run(self.layout, self.count)

    def _run(self, layout: tuple[int, int], count: int) -> float:
        session, streams = self.sessions[layout], layout[1]
        name = session.get_inputs()[0].name

        def answer(batch: NDArray[np.float32]) -> int:
            return len(session.run(None, {name: batch})[0])

        chosen = [self.batches[n % len(self.batches)] for n in range(count)]
        answer(chosen[0])
        begun = time.perf_counter()
        with ThreadPoolExecutor(streams) as pool:
            sum(pool.map(answer, chosen))
        return time.perf_counter() - begun


def ours(folder: Path, server: Server, bundle: Bundle, task: int, threshold: float) -> float:
    """Run the command as a process; the seconds of its work, fetching and writing included."""
    config = folder / "cvat-bridge.yaml"
    config.write_text(yaml.safe_dump({"home": "home", "cvat": {"url": server.url}}))
    command = [sys.executable, "-m", "cvat_bridge.cli", "annotate", "--config", str(config)]
    command += ["--task", str(task), "--model", str(bundle.path), "--batch", str(BATCH)]
    command += ["--min-score", str(threshold), "--json"]
    environment = {**os.environ, "CVAT_ACCESS_TOKEN": server.token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return float(answer["seconds"])


def by_menu(server: Server, task: int, threshold: float) -> float:
    """Let CVAT's own batch request annotate the task through the function host."""
    body = {"function": FUNCTION, "task": task, "threshold": threshold}
    begun = time.perf_counter()
    number = server.call("POST", "/api/lambda/requests", json=body)["id"]
    while (state := server.call("GET", f"/api/lambda/requests/{number}"))["status"] != "finished":
        assert state["status"] != "failed", state["exc_info"]
        time.sleep(0.1)
    return time.perf_counter() - begun


def by_sdk(server: Server, bundle: Bundle, task: int, threshold: float) -> float:
    """Let cvat-sdk's annotate_task do it with the same network on all cores."""
    made = function.create(str(bundle.path), threads=CORES)
    with (
        tempfile.TemporaryDirectory() as cache,
        Client(server.url, config=Config(cache_dir=Path(cache)), check_server_version=False) as sdk,
    ):
        sdk.login(AccessTokenCredentials(server.token))
        begun = time.perf_counter()
        cvataa.annotate_task(sdk, task, made, conf_threshold=threshold)
        return time.perf_counter() - begun


def figures(
    seconds: dict[str, list[float]],
    counts: dict[str, set[int]],
    number: int,
    layout: tuple[int, int],
) -> list[Figure]:
    """Make the three figures; rates are medians, ratios the medians of the turns' ratios."""
    rate = {name: number / statistics.median(values) for name, values in seconds.items()}
    objects = ", ".join(f"{name} {sorted(found)}" for name, found in counts.items())
    note = (
        f"YOLO11n at 640 x 480, {number} frames, {len(seconds['ours'])} turns, {CORES} cores; "
        f"batches of {BATCH}; ours runs {CORES} batches at once on a core each; bare: "
        f"{layout[1]} at once on {layout[0]}; objects written: {objects}"
    )
    peers = {"bare": "the network alone", "cvat": "CVAT's batch request through the host",
             "annotate_task": "cvat_sdk annotate_task, the same network"}  # fmt: skip
    return [
        Figure(
            f"throughput_vs_{name}",
            rate["ours"],
            "frames/s",
            text,
            rate[name],
            statistics.median(
                theirs / mine for mine, theirs in zip(seconds["ours"], seconds[name], strict=True)
            ),
            note,
        )
        for name, text in peers.items()
    ]


if __name__ == "__main__":
    main()
