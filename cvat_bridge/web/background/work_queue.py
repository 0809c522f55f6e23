"""Work in the background that a person asked for on the page: done one by one, also after a kill.

An item is a kind of work and plain JSON. It is written down before anything is done, and its file
says at the end how it went. What a killed service left undone goes on at its next start, so every
kind of work must be one that can be repeated. See `task_queue` for tasks in CVAT.
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

from cvat_bridge.errors import BridgeError
from cvat_bridge.frames.originals import write_atomically
from cvat_bridge.progress import Report
from cvat_bridge.secrecy import without_secrets
from trainer.errors import TrainerError

log = structlog.get_logger("page")
_KEY = re.compile(r"[\w-]{8,64}")
State = Literal["waiting", "working", "done", "failed"]
Work = Callable[[str, Mapping[str, Any], str, Report], Mapping[str, Any]]


@dataclass(frozen=True)
class WorkItem:
    """Some work and what became of it.

    kind: which work. asked: what for, as JSON. who: name in CVAT. begun: ISO 8601. outcome: JSON,
    {} until it is done. problem: why it failed. stage, done, total: of the step under way.
    """

    key: str
    kind: str
    asked: Mapping[str, Any]
    who: str
    begun: str
    state: State = "waiting"
    outcome: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0

    @property
    def going(self) -> bool:
        """Whether it is still to be done."""
        return self.state in ("waiting", "working")


class WorkQueue:
    """The work of one project, in a folder of its home.

    work: does one, given its kind, what it is for, who asked, and where to tell how far it is.
    """

    def __init__(self, folder: Path, work: Work) -> None:
        self._folder, self._work, self._lock = folder, work, threading.RLock()
        self._now: dict[str, WorkItem] = {}
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="work")

    def resume(self) -> None:
        """Go on with what an earlier process left undone, oldest first."""
        left = [one for one in self.all() if one.going]
        for one in sorted(left, key=lambda row: row.begun):
            self._begin(one)

    def close(self) -> None:
        """Begin nothing more; what is under way is left to the next start."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def ask(self, key: str, kind: str, asked: Mapping[str, Any], *, who: str, now: str) -> WorkItem:
        """Take an item; one whose key is known is that one, tried again where it failed.

        Raises ValueError for a key that is none of ours.
        """
        if not _KEY.fullmatch(key):
            raise ValueError("the form's key is not ours")
        with self._lock:
            known = self.find(key)
            if known is not None and known.state != "failed":
                return known
            new = WorkItem(
                key, known.kind if known else kind, known.asked if known else asked, who, now
            )
            self._keep(new)
            self._begin(new)
            return new

    def find(self, key: str) -> WorkItem | None:
        """Return an item by its key."""
        if not _KEY.fullmatch(key):
            return None
        with self._lock:
            return self._now.get(key) or self._read(self._folder / f"{key}.json")

    def under_way(self, kind: str) -> WorkItem | None:
        """Return the item of a kind that is waiting or at work, None where there is none."""
        with self._lock:
            return next((one for one in self._now.values() if one.kind == kind), None)

    def all(self) -> tuple[WorkItem, ...]:
        """Return every item there ever was, oldest first."""
        found = (self._read(path) for path in self._folder.glob("*.json"))
        rows = [self._now.get(one.key, one) for one in found if one is not None]
        return tuple(sorted(rows, key=lambda row: row.begun))

    def _begin(self, item: WorkItem) -> None:
        with self._lock:
            if item.key in self._now:
                return
            self._now[item.key] = item
            self._worker.submit(self._do, item.key)

    def _do(self, key: str) -> None:
        """Do it; the edge where an error becomes a sentence for the person who asked."""
        item = self._set(key, state="working")

        def report(stage: str, done: int, total: int) -> None:
            self._set(key, stage=stage, done=done, total=total)

        try:
            outcome = self._work(item.kind, item.asked, item.who, report)
        except (BridgeError, TrainerError) as error:
            log.warning("item failed", key=key, kind=item.kind, error=without_secrets(str(error)))
            ended = self._set(key, state="failed", problem=without_secrets(str(error)))
        except Exception as error:  # a defect: told, and never the end of the others
            log.exception("item failed", key=key, kind=item.kind)
            problem = without_secrets(f"{type(error).__name__}: {error}")
            ended = self._set(key, state="failed", problem=problem)
        else:
            ended = self._set(key, state="done", outcome=dict(outcome))
        with self._lock:
            self._keep(ended)
            self._now.pop(key, None)

    def _set(self, key: str, **changes: Any) -> WorkItem:
        with self._lock:
            self._now[key] = changed = replace(self._now[key], **changes)
            return changed

    def _keep(self, item: WorkItem) -> None:
        path = self._folder / f"{item.key}.json"
        write_atomically(path, json.dumps(asdict(item)).encode())
        path.chmod(0o600)

    def _read(self, path: Path) -> WorkItem | None:
        try:
            return WorkItem(**json.loads(path.read_bytes()))
        except FileNotFoundError:
            return None
