"""SIGKILL of what the bridge depends on: the function host, CVAT itself, a fit."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests

from cvat_bridge.cvat.client import connect
from cvat_bridge.demo.ground_truth import read_truth
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.ledger import Ledger
from cvat_bridge.sandbox import running as sandbox_running
from serverless.host.server import running as host_running
from serverless.store.functions import publish
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures
from tests.cvat_bridge.test_killed import HOLDOUT, POOL, STEPS, World, go_through_a_round
from tests.faults.campaign import Line
from tests.faults.people import model_over
from tests.patience import patience
from tests.serverless.bright_spots import bright_spots
from tests.serverless.test_host import invoke, spots_entry


def killed_hosts(folder: Path, count: int, seed: int = 0) -> Line:
    """Kill the function host while it is called and published to; the next one serves it all."""
    line = Line("kills of the function host")
    dice = random.Random(seed)
    store = folder / "store"
    publish(store, spots_entry(bright_spots(folder / "good"), id="good"))
    for n in range(count):
        with host_running(store, builtin=False) as url:
            caller = threading.Thread(target=_call_until_gone, args=(url,), daemon=True)
            caller.start()
            publish(store, spots_entry(bright_spots(folder / f"{n}"), id=f"added-{n}"))
            time.sleep(dice.uniform(0, 0.5))
            _kill(lambda p: str(store) in p.cmdline())
            caller.join(patience(60))
        with host_running(store, builtin=False) as url:
            listed = requests.get(f"{url}/api/functions", timeout=60).json()
            names = {"good", *(f"added-{k}" for k in range(n + 1))}
            reply = invoke(url, f"added-{n}", (1, 1, 0))
            held = reply.status_code == 200 and set(listed) == names
            line.count(held, f"{sorted(listed)}, {reply.status_code} {reply.text}")
    return line


def killed_servers(folder: Path, count: int, seed: int = 0) -> Line:
    """Kill CVAT (the sandbox) while a model runs over a task, and start it again a moment later.

    The run waits, or ends with an error of ours and is taken again; each object is there once.
    """
    line = Line("kills of CVAT while a model runs over a task")
    dice = random.Random(seed)
    data, port = folder / "sandbox", _free_port()
    over = model_over(folder)
    for n in range(count):
        with ExitStack() as open_:
            first = open_.enter_context(ExitStack())
            sandbox = first.enter_context(sandbox_running(data, port=port))
            stage = HttpStage(sandbox.url, folder / "stage", token=sandbox.admin_token, login=None)
            project = stage.add_project(LABELS)
            task = stage.add_task(project, pictures(6), segment_size=2)
            gateway = open_.enter_context(
                connect(
                    sandbox.url, token=sandbox.admin_token, cache_dir=folder / "c", patience=120
                )
            )
            ledger = open_.enter_context(Ledger(folder / f"{n}" / "ledger.db"))
            ended: list[BaseException | None] = []

            def run() -> None:
                try:
                    over(gateway, ledger, task, folder / f"{n}")  # noqa: B023 joined below
                    ended.append(None)  # noqa: B023
                except Exception as error:  # noqa: BLE001 handed on
                    ended.append(error)  # noqa: B023

            worker = threading.Thread(target=run, daemon=True)
            worker.start()
            time.sleep(dice.uniform(0, 0.4))
            _kill(lambda p: p.pid == sandbox.pid)  # noqa: B023 within this turn
            first.close()
            open_.enter_context(sandbox_running(data, port=port))
            worker.join(patience(180))
            if ended and ended[0] is not None:
                over(gateway, ledger, task, folder / f"{n}")
            there = Counter(
                (shape["frame"], tuple(shape["points"]))
                for job in gateway.jobs(task_id=task)
                for shape in gateway.annotations(job.id).shapes
            )
            once = len(there) == 18 and set(there.values()) == {1}
            line.count(
                bool(ended) and once, f"{ended}: {len(there)} places, {there.most_common(1)}"
            )
    return line


def killed_bridges(folder: Path, count: int) -> Line:
    """Kill the bridge within and between the steps of rounds; each ends as an undisturbed one."""
    line = Line("kills of the bridge within and between the steps of a round")
    truth = read_truth(write_scenes(folder / "scenes", pool=POOL, holdout=HOLDOUT))
    with sandbox_running(folder / "sandbox") as sandbox:
        world = World(sandbox, truth, folder)
        expected = go_through_a_round(world, "undisturbed", kill_at=())
        moments = [(event, step) for event in ("step started", "step done") for step in STEPS]
        for n in range(0, count, len(STEPS)):
            kill_at = tuple(moments[n % len(moments) :][: len(STEPS)])
            ended = go_through_a_round(world, f"killed-{n}", kill_at=kill_at)
            for event, step in kill_at:
                line.count(ended == expected, f"{event} {step}: another end")
    return line


def killed_fits(folder: Path, count: int, seed: int = 0) -> Line:
    """Kill a fit at any moment, twice in one, and begin it again: the weights are the same."""
    line = Line("kills of a fit")
    dice = random.Random(seed)
    data = write_scenes(folder / "scenes", pool=16, holdout=4)

    def command(out: Path) -> list[str]:
        words = ["fit", "--backend", "centernet", "--data", str(data), "--out", str(out), "--json"]
        words += ["--split", "test", "--mlflow", "none", "--seed", "7", "--image-size", "48x64"]
        words += ["--evaluation-period", "0", "--set", "steps=60", "--set", "save_every=0.2"]
        return [sys.executable, "-m", "trainer", *words]

    subprocess.run(command(folder / "alone"), check=True, capture_output=True)
    expected = _digest(folder / "alone")
    while line.tried < count:
        out = folder / f"killed-{line.tried}"
        kills = [_killed_at(command(out), dice.random()) for _ in range(2)]
        ended = subprocess.run(command(out), capture_output=True, text=True, check=False)
        told = ended.stderr[-300:] if ended.returncode else "another checkpoint"
        held = ended.returncode == 0 and _digest(out) == expected
        for _ in range(max(1, sum(kills))):
            line.count(held, told)
    return line


def _killed_at(command: list[str], share: float) -> bool:
    """Kill when so much of the steps is done; False when it was over before."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        for text in process.stdout or ():
            event: dict[str, Any] = json.loads(text)
            if event.get("stage") == "fit" and event["done"] >= share * event["total"]:
                process.kill()
                break
    return process.returncode == -signal.SIGKILL


def _digest(out: Path) -> str:
    """Digest the weights; how long the fit took stands beside them."""
    found = hashlib.sha256()
    with np.load(out / "fit" / "checkpoint.npz") as arrays:
        for name in sorted(set(arrays.files) - {"__meta__"}):
            found.update(name.encode() + arrays[name].tobytes())
    return found.hexdigest()


def _kill(which: Callable[[psutil.Process], bool]) -> None:
    found = [p for p in psutil.Process().children() if which(p)]
    for process in found:
        process.kill()
    psutil.wait_procs(found, timeout=patience(10))


def _call_until_gone(url: str) -> None:
    until = time.monotonic() + patience(30)
    while time.monotonic() < until:
        try:
            invoke(url, "good", (1, 1, 0))
        except requests.RequestException:
            return


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])
