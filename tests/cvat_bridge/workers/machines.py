"""Machines for tests: worker processes with homes of their own, on one database, store and CVAT."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cvat_bridge.config import Config, load_config
from cvat_bridge.database.leases import Leases
from cvat_bridge.queues.presence import Worker, service_database, workers
from tests.patience import patience


@dataclass
class Machine:
    """A worker's process. name: its executor id."""

    process: subprocess.Popen[str]
    log: Path
    name: str

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def config_of(folder: Path, name: str, **values: Any) -> Path:
    """Write the configuration of one machine, with a home of its own."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"home": str(folder / name), **values}), encoding="utf-8")
    return path


@contextmanager
def machines(configs: Sequence[Path], token: str, *, queues: str) -> Iterator[list[Machine]]:
    """Start a worker for each configuration, all at once; those that live are ended at the end."""
    with ExitStack() as stack:
        begun = []
        for path in configs:
            log = path.with_suffix(".log")
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "cvat_bridge.cli", "worker"),
                    *("--config", str(path), "--queues", queues, "--threads", "1"),
                ],
                stdout=subprocess.PIPE,
                stderr=stack.enter_context(log.open("w")),
                text=True,
                env={**os.environ, "CVAT_ACCESS_TOKEN": token, "OMP_NUM_THREADS": "1"},
            )
            stack.callback(_end, process)
            begun.append((process, log))
        yield [Machine(process, log, _ready(process, log)) for process, log in begun]


def _ready(process: subprocess.Popen[str], log: Path) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            return str(json.loads(text)["name"])
    raise AssertionError(f"no worker: {log.read_text()[-3000:]}")


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def there(path: Path | Config) -> tuple[Worker, ...]:
    """Return who is there."""
    with watched(path) as look:
        return look()


@contextmanager
def watched(path: Path | Config) -> Iterator[Callable[[], tuple[Worker, ...]]]:
    """Give what returns who is there, over one connection."""
    config = path if isinstance(path, Config) else load_config(path)
    with service_database(config) as database:
        leases = Leases(database)
        yield lambda: workers(leases)


def caught_at_work(config: Config, both: Sequence[Machine]) -> Machine:
    """Return the first machine that is seen at work."""
    with watched(config) as look:

        def found() -> Machine | None:
            at_it = {worker.name for worker in look() if worker.doing.get("work")}
            return next((one for one in both if one.name in at_it), None)

        machine: Machine = until(found)
        return machine


def until(found: Callable[[], Any], seconds: float = 120.0) -> Any:
    """Wait for something that is not false; return it."""
    end = time.monotonic() + patience(seconds)
    while time.monotonic() < end:
        if answer := found():
            return answer
        time.sleep(0.02)
    raise AssertionError("it did not come")
