"""Relay the progress of a fit on several devices to the process that waits for it.

ultralytics trains on several devices in processes of its own, started by torch's launcher with our
callbacks pickled. They write their progress to an event file, which we follow.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trainer.detector import Progress
from trainer.events import EVENTS, EventLog, follow, step_of

_FOLDER = "relay"


def is_main_process() -> bool:
    """Return whether this process reports for all: it is the only one, or has rank 0."""
    return os.environ.get("RANK", "-1") in ("-1", "0")


def broadcast_stop(stop: bool) -> bool:
    """Return the decision of rank 0; all must stop at the same batch, or they deadlock."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return stop
    said: list[bool] = [stop]
    distributed.broadcast_object_list(said, 0)
    return said[0]


def relay_reporter(run_dir: Path) -> Callable[[Progress], None]:
    """Return a picklable report function that writes where `relaying` listens."""
    (run_dir / _FOLDER).mkdir(exist_ok=True)
    return EventLog(run_dir / _FOLDER).progress


@contextmanager
def relaying(run_dir: Path, report: Callable[[Progress], None]) -> Iterator[None]:
    """Forward what the reporters of run_dir write to report; on exit, all of it."""
    folder = run_dir / _FOLDER
    folder.mkdir(exist_ok=True)
    (folder / EVENTS).unlink(missing_ok=True)
    ended = threading.Event()

    def pass_on() -> None:
        for event in follow(folder, alive=lambda: not ended.is_set()):
            if event is not None:
                report(step_of(event))

    thread = threading.Thread(target=pass_on, name="relay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
