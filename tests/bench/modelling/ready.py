"""From a weight file on disk to listed in CVAT and answering: seconds.

    python -m tests.bench.modelling.ready [--repeats 3]

The clock starts with the command line and stops when the sandbox, asked for its models as CVAT's
page does, lists the model, and a call of CVAT's editor on a frame has come back. Host and sandbox
run before, as they do in a team's house; the home is new each time, so that the registry is made
within.
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
from collections.abc import Sequence
from pathlib import Path

from cvat_bridge.sandbox import running
from serverless.host.server import running as hosting
from tests.bench.figures import Figure, write
from tests.bench.modelling.stage import Server, frames
from tests.bench.modelling.weights import onnx_file, pt_file

NETWORK = "yolo11n"
AIM = 120.0  # seconds: "two minutes"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both formats and write ready_seconds/<format>."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.modelling.ready")
    parser.add_argument("--data", type=Path, help="not read: the frame is drawn")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args(arguments)
    figures = []
    for form, make in (("pt", pt_file), ("onnx", onnx_file)):
        with tempfile.TemporaryDirectory(prefix="bench-ready-") as folder:
            path = make(Path(folder), NETWORK, 1)
            seconds = []
            for n in range(given.repeats):
                place = Path(folder) / str(n)
                place.mkdir()
                seconds.append(ready(path, place))
        note = (
            f"{NETWORK} .{form} of {path.name}; median of {given.repeats}, "
            f"{', '.join(f'{s:.1f}' for s in seconds)} s; load {os.getloadavg()[0]:.1f} "
            f"on {os.cpu_count()} cores"
        )
        median = statistics.median(seconds)
        name = f"ready_seconds/{form}"
        figures.append(Figure(name, median, "s", "two minutes", AIM, median / AIM, note))
    write("models", figures)


def ready(path: Path, folder: Path) -> float:
    """Return the seconds from the command to the first answer in CVAT."""
    store = folder / "home" / "functions"
    store.mkdir(parents=True)
    (folder / "frames").mkdir()
    with (
        hosting(store) as host,
        running(folder / "cvat", function_host=host) as sandbox,
    ):
        server = Server(sandbox.url, sandbox.admin_token)
        task = server.task("frame", frames(folder / "frames", 1))
        values = {"home": "home", "cvat": {"url": sandbox.url}, "function_host": {"url": host}}
        config = folder / "bridge.yaml"
        config.write_text(json.dumps(values), encoding="utf-8")
        command = [sys.executable, "-m", "cvat_bridge.cli", "models", "add", str(path)]
        command += ["--name", "Ready", "--config", str(config), "--json"]
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        listed = {row["id"] for row in server.call("GET", "/api/lambda/functions")}
        body = {"task": task, "frame": 0, "threshold": 0.5}
        server.call("POST", "/api/lambda/functions/ready", json=body)
        seconds = time.perf_counter() - began
    if "ready" not in listed or not json.loads(done.stdout)["host"]["answers"]:
        raise ValueError(f"it is not listed, or does not answer: {done.stdout}")
    return seconds


if __name__ == "__main__":
    main()
