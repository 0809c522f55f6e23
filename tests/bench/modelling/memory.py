"""Memory of one host with ten models against ten processes with one each, as Nuclio runs them.

    python -m tests.bench.modelling.memory [--models 10]

The processes are workers of the folders that `cvat-bridge models export` writes, which hold no web
server: the peer is as small as it can be. Counted is PSS, in which a page that n processes share
counts 1/n for each; containers of different images share none, so that is kind to the peer. Every
model answers three frames before, and has had nothing to do for five seconds.
"""

from __future__ import annotations

import argparse
import base64
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import requests

from serverless.export.folder import write_function
from serverless.host.server import running as hosting
from serverless.store.functions import Entry, publish
from tests.bench.figures import Figure, write
from tests.bench.modelling.stage import frames
from tests.bench.modelling.weights import onnx_file
from trainer.importing import ImportRequest, import_model

MIB = 1 << 20
ANSWERS = 3
REST_SECONDS = 5.0  # after the last answer: models that wait for calls are what there is mostly


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both and write host_memory_ratio."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.memory")
    parser.add_argument("--data", type=Path, help="not read: frames are drawn")
    parser.add_argument("--models", type=int, default=10)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as scratch:
        folder = Path(scratch)
        entries = [entry(folder, n) for n in range(given.models)]
        (folder / "frames").mkdir()
        image = frames(folder / "frames", 1)[0].read_bytes()
        body = {"image": base64.b64encode(image).decode(), "threshold": 0.5}
        ours, ours_rss = host(folder / "functions", entries, body)
        theirs, theirs_rss = processes(folder, entries, body)
    note = (
        f"{given.models} yolo11n of different weights, {ANSWERS} frames each; resident set "
        f"{ours_rss:.0f} MiB against {theirs_rss:.0f} MiB"
    )
    peer = f"{given.models} processes of one model each, MiB (PSS)"
    figure = Figure("host_memory_ratio", ours, "MiB (PSS)", peer, theirs, ours / theirs, note)
    write("models", [figure])


def entry(folder: Path, number: int) -> Entry:
    """Make one model of its own weights."""
    path = onnx_file(folder, "yolo11n", number)
    bundle = import_model(ImportRequest(path, f"model {number}"), folder / f"bundle-{number}")
    name = f"model-{number}"
    return Entry(name, "detector", name, "chance weights", bundle.path, bundle.version)


def host(store: Path, entries: Sequence[Entry], body: dict[str, object]) -> tuple[float, float]:
    """Return MiB (PSS, RSS) of a host that has answered with every model."""
    for one in entries:
        publish(store, one)
    known = {child.pid for child in psutil.Process().children()}
    with hosting(store, builtin=False, log=store.parent / "host.log") as url:
        (process,) = [c for c in psutil.Process().children() if c.pid not in known]
        for one in entries:
            for _ in range(ANSWERS):
                headers = {"x-nuclio-function-name": one.id, "x-nuclio-path": "/"}
                answer = requests.post(
                    f"{url}/api/function_invocations", json=body, headers=headers, timeout=120
                )
                answer.raise_for_status()
        held = requests.get(f"{url}/status", timeout=30).json()["models"]
        if held != len(entries):
            raise ValueError(f"the host holds {held} models of {len(entries)}")
        time.sleep(REST_SECONDS)
        return used([process, *process.children(recursive=True)])


def processes(
    folder: Path, entries: Sequence[Entry], body: dict[str, object]
) -> tuple[float, float]:
    """Return MiB (PSS, RSS) of one worker for each model, all alive and having answered."""
    script = str(Path(__file__).with_name("worker.py"))
    workers = []
    try:
        for one in entries:
            write_function(one, folder / f"function-{one.id}")
            worker = subprocess.Popen(
                [sys.executable, script],
                cwd=folder / f"function-{one.id}",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            workers.append(worker)
            assert worker.stdin is not None
            assert worker.stdout is not None
            for n in range(ANSWERS + 1):
                if not worker.stdout.readline():
                    raise ValueError(f"a worker ended with {worker.wait()}")
                if n < ANSWERS:
                    worker.stdin.write(json.dumps(body) + "\n")
                    worker.stdin.flush()
        time.sleep(REST_SECONDS)
        return used([psutil.Process(worker.pid) for worker in workers])
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def used(among: Sequence[psutil.Process]) -> tuple[float, float]:
    """Return MiB of memory, shared pages counted by their share and in full."""
    infos = [process.memory_full_info() for process in among]
    return sum(i.pss for i in infos) / MIB, sum(i.rss for i in infos) / MIB


if __name__ == "__main__":
    main()
