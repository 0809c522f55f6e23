"""The bridge's own cost: its share of a round, and pulling by chunk against frame by frame."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cvat_sdk import Client
from cvat_sdk.core.client import AccessTokenCredentials

from cvat_bridge.assembly import assemble
from cvat_bridge.config import load_config, load_secrets
from cvat_bridge.cvat.client import connect
from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.project import Prepared, prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.sandbox import Sandbox, running
from tests.bench.figures import Figure, write

FRAMES = 300
LEARNING = ("fit", "predict", "decide")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and write tests/bench/results/loop.json."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.loop", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder in COCO form; else images are made")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="bench-loop-"))
    try:
        data = given.data or write_scenes(folder / "scenes", pool=FRAMES, holdout=40)
        with running(folder / "sandbox") as sandbox:
            prepared = prepare(sandbox.url, sandbox.admin_token, "bench", read_truth(data))
            figures = [
                _pull_speedup(sandbox.url, sandbox.admin_token, prepared.task_id, folder),
                _round_share(sandbox, prepared, folder, data),
            ]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    write("loop", figures)


def _pull_speedup(url: str, token: str, task_id: int, folder: Path) -> Figure:
    """Time the same frames both ways, in turns, and compare the medians."""
    ours, theirs = [], []
    client = Client(url)
    client.login(AccessTokenCredentials(token))
    task = client.tasks.retrieve(task_id)
    count = min(FRAMES, task.size)
    for turn in range(3):
        began = time.perf_counter()
        with connect(url, token=token, cache_dir=folder / f"chunks-{turn}") as gateway:
            content = {n: len(data) for n, data in gateway.frames(task_id, range(count))}
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        sizes = {n: len(task.get_frame(n, quality="original").read()) for n in range(count)}
        theirs.append(time.perf_counter() - began)
        if content != sizes:
            raise AssertionError("the two ways gave different files")
    mine, peer = float(np.median(ours)), float(np.median(theirs))
    return Figure(
        "pull_speedup",
        peer / mine,
        "times",
        "task.get_frame in a loop (seconds)",
        peer,
        peer / mine,
        f"{count} frames, ours {mine:.2f} s, median of 3",
    )


def _round_share(sandbox: Sandbox, prepared: Prepared, folder: Path, data: Path) -> Figure:
    """Run one whole round with a fit in it; everything but learning and reading is overhead."""
    admin, truth = sandbox.admin, read_truth(data)
    person = Annotator(sandbox.url, admin.username, admin.password, truth.objects)
    path = folder / "bridge.yaml"
    settings = {
        "home": str(folder / "home"),
        "cvat": {"url": sandbox.url, "project": prepared.project_id},
        "active_learning": {"budget": 40},
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    secrets = load_secrets({"CVAT_ACCESS_TOKEN": sandbox.admin_token})
    with assemble(load_config(path), secrets) as bridge:
        made = bridge.run_round().answers["prioritise"]["task_id"]
        for job in bridge.parts.gateway.jobs(task_id=made):
            person.finish(vars(job), prepared.labels)
        ended = bridge.run_round()
    seconds = {name: float(answer["seconds"]) for name, answer in ended.answers.items()}
    total = sum(seconds.values())
    learning = sum(seconds[name] for name in LEARNING)
    return Figure(
        "round_overhead_share",
        1 - learning / total,
        "share of the round's wall time",
        note=f"{total:.1f} s in all; " + ", ".join(f"{k} {v:.1f}" for k, v in seconds.items()),
    )


if __name__ == "__main__":
    main()
