"""The four ways that a network can go over a task's frames."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cvat_sdk.auto_annotation as cvataa
import numpy as np
import yaml
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config
from numpy.typing import NDArray

from cvat_bridge import function
from tests.bench.modelling.stage import FUNCTION, Server
from trainer.bundles.bundle import Bundle
from trainer.data.images import decode
from trainer.engines import load
from trainer.engines.yolo import letterbox

CORES = len(os.sched_getaffinity(0))
BATCH = 2


@dataclass(frozen=True)
class Ours:
    """Seconds of our command, by the clock and of its processors, and what it wrote."""

    seconds: float
    processor: float
    objects: int


class Bare:
    """The network alone over every frame. processor: seconds of the processors of the last run."""

    processor = 0.0

    def __init__(self, bundle: Bundle, files: Sequence[Path]) -> None:
        size = bundle.card.input_size
        # Kept as bytes and made floats a batch at a time would be work; kept as floats, a few
        # frames stand for all: the network's time does not depend on what they show.
        few = [letterbox(decode(path.read_bytes()), size)[0] for path in files[: 16 * BATCH]]
        self.batches = [
            np.stack(few[n : n + BATCH]).transpose(0, 3, 1, 2).astype(np.float32) / 255
            for n in range(0, len(few), BATCH)
        ]
        self.count = -(-len(files) // BATCH)
        layouts = {(1, CORES): load(bundle, threads=1), (CORES, 1): load(bundle, threads=CORES)}
        self.sessions = {layout: detector.session for layout, detector in layouts.items()}
        tries = {layout: [self._run(layout, 24) for _ in range(4)] for layout in layouts}
        self.layout = min(tries, key=lambda layout: statistics.median(tries[layout]))

    def run(self) -> float:
        """Return the seconds for all frames."""
        busy = time.process_time()
        seconds = self._run(self.layout, self.count)
        self.processor = time.process_time() - busy
        return seconds

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


def ours(folder: Path, server: Server, bundle: Bundle, task: int, threshold: float) -> Ours:
    """Run the command as a process; its work includes fetching and writing."""
    config = folder / "cvat-bridge.yaml"
    config.write_text(yaml.safe_dump({"home": "home", "cvat": {"url": server.url}}))
    command = [sys.executable, "-m", "cvat_bridge.cli", "annotate", "--config", str(config)]
    command += ["--task", str(task), "--model", str(bundle.path), "--batch", str(BATCH)]
    command += ["--min-score", str(threshold), "--json"]
    environment = {**os.environ, "CVAT_ACCESS_TOKEN": server.token}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    answer: dict[str, Any] = json.loads(done.stdout)
    return Ours(answer["seconds"], answer["processor_seconds"], answer["objects"])


def by_menu(
    server: Server, task: int, threshold: float, *, called: str = FUNCTION, **more: Any
) -> float:
    """Let CVAT's own batch request annotate the task through the function host.

    called: the function's id. more: what else the request says.
    """
    body = {"function": called, "task": task, "threshold": threshold, **more}
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
