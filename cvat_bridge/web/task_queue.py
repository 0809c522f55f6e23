"""Tasks that people asked for on the page: made one after the other, each once, also after a kill.

A request is written down before anything is done, and done when it stands in the file how it
ended. What a killed service left undone goes on at its next start: the same key finds in CVAT
what was made already.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import structlog

from cvat_bridge.blindspots.types import TaskRequest, to_json
from cvat_bridge.errors import BridgeError
from cvat_bridge.frames.originals import write_atomically
from cvat_bridge.progress import Report
from cvat_bridge.secrecy import without_secrets
from trainer.data.files import parse_json
from trainer.errors import TrainerError

log = structlog.get_logger("page")
_KEY = re.compile(r"[\w-]{8,64}")
State = Literal["waiting", "working", "done", "failed"]
Make = Callable[[TaskRequest, Report], Mapping[str, Any]]


@dataclass(frozen=True)
class QueuedTask:
    """A request and what became of it.

    made: `CreatedTask` as JSON, {} until it is done. problem: why it failed. stage, done, total:
    of the step under way, 0 of 0 where it does not count.
    """

    request: TaskRequest
    asked: str
    state: State = "waiting"
    made: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0


class TaskQueue:
    """The requests of one project, in a folder of its home. make: does the work."""

    def __init__(self, folder: Path, make: Make) -> None:
        self._folder, self._make, self._lock = folder, make, threading.RLock()
        self._now: dict[str, QueuedTask] = {}
        # One at a time: two that want the same frames see of each other who was first.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="errand")

    def resume(self) -> None:
        """Go on with what an earlier process left undone, oldest first."""
        left = [one for one in self._all() if one.state in ("waiting", "working")]
        for one in sorted(left, key=lambda row: row.asked):
            self._begin(one)

    def close(self) -> None:
        """Begin nothing more; what is under way is left to the next start."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def ask(self, request: TaskRequest, asked: str) -> QueuedTask:
        """Take a request; one whose key is known is that one, tried again where it failed."""
        with self._lock:
            known = self.find(request.key)
            if known is not None and known.state != "failed":
                return known
            new = QueuedTask(known.request if known else request, asked)
            self._keep(new)
            self._begin(new)
            return new

    def find(self, key: str) -> QueuedTask | None:
        """Return a request by its key."""
        if not _KEY.fullmatch(key):
            return None
        with self._lock:
            return self._now.get(key) or self._read(self._folder / f"{key}.json")

    def _begin(self, task: QueuedTask) -> None:
        with self._lock:
            if task.request.key in self._now:
                return
            self._now[task.request.key] = task
            self._worker.submit(self._work, task.request.key)

    def _work(self, key: str) -> None:
        """Do it; the edge where an error becomes a sentence for the person who asked."""
        task = self._set(key, state="working")

        def report(stage: str, done: int, total: int) -> None:
            self._set(key, stage=stage, done=done, total=total)

        try:
            made = self._make(task.request, report)
        except (BridgeError, TrainerError) as error:
            log.warning("task not made", key=key, error=without_secrets(str(error)))
            ended = self._set(key, state="failed", problem=without_secrets(str(error)))
        except Exception as error:  # a defect: told, and never the end of the others
            log.exception("task not made", key=key)
            ended = self._set(
                key, state="failed", problem=without_secrets(f"{type(error).__name__}: {error}")
            )
        else:
            ended = self._set(key, state="done", made=dict(made))
        with self._lock:
            self._keep(ended)
            self._now.pop(key, None)

    def _set(self, key: str, **changes: Any) -> QueuedTask:
        with self._lock:
            self._now[key] = changed = replace(self._now[key], **changes)
            return changed

    def _keep(self, task: QueuedTask) -> None:
        values = {**asdict(task), "request": to_json(task.request)}
        path = self._folder / f"{task.request.key}.json"
        write_atomically(path, json.dumps(values).encode())
        path.chmod(0o600)

    def _all(self) -> list[QueuedTask]:
        found = (self._read(path) for path in self._folder.glob("*.json"))
        return [one for one in found if one is not None]

    def _read(self, path: Path) -> QueuedTask | None:
        try:
            held = parse_json(path.read_bytes())
        except FileNotFoundError:
            return None
        asked = held["request"]
        for name in ("frames", "assignees"):
            asked[name] = tuple(asked[name])
        asked["controls"] = frozenset(asked["controls"])
        return QueuedTask(**{**held, "request": TaskRequest(**asked)})
