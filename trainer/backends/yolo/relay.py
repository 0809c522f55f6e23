"""What the processes of a fit on several devices tell, brought to the one that waits for them.

ultralytics learns on several devices in processes of its own, by torch's launcher, and hands them
our callbacks pickled. They write their progress to a file as a run does, and we follow it.
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
    """Whether this process speaks for all: it learns alone, or is the first of several."""
    return os.environ.get("RANK", "-1") in ("-1", "0")


def broadcast_stop(stop: bool) -> bool:
    """Return what the first process decided; all must leave a batch together, or none can go on."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return stop
    said: list[bool] = [stop]
    distributed.broadcast_object_list(said, 0)
    return said[0]


def relay_reporter(run_dir: Path) -> Callable[[Progress], None]:
    """Return a report that can be pickled: it writes where relayed listens."""
    (run_dir / _FOLDER).mkdir(exist_ok=True)
    return EventLog(run_dir / _FOLDER).progress


@contextmanager
def relaying(run_dir: Path, report: Callable[[Progress], None]) -> Iterator[None]:
    """Within, report hears what the tellers of run_dir tell; all of it at the end."""
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
