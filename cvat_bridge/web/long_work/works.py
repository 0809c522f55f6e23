"""The work of one kind that people asked for in a project: each once, also after a kill.

A request is written down before anything is done. What a killed service left undone goes on at its
next start; what a person stopped waits until somebody resumes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from cvat_bridge.errors import BridgeError, NothingToDoError
from cvat_bridge.progress import Report
from cvat_bridge.secrecy import without_secrets
from cvat_bridge.web.long_work.lane import Lane
from cvat_bridge.web.long_work.work import KEY, Step, Work, keep, read
from serverless.errors import FunctionError
from trainer.errors import TrainerError

log = structlog.get_logger("page")


@dataclass(frozen=True)
class Handle:
    """What a piece of work is given to tell how far it is, and by which it learns to end.

    stop: set when a person wants it to end, keeping what is done. closing: when the service ends.
    halt: in both cases. remember: keeps values in `Work.made` for a later attempt.
    """

    report: Report
    stop: threading.Event
    closing: threading.Event
    halt: threading.Event
    remember: Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Ended:
    """How it ended. made: JSON values. stopped: it was told to, and can be resumed."""

    made: Mapping[str, Any]
    stopped: bool = False


Do = Callable[[Work, Handle], Ended]


class Works:
    """The pieces of work of one kind in a folder. do: does one; lane: its queue."""

    def __init__(self, folder: Path, kind: str, project: int, do: Do, lane: Lane) -> None:
        self._folder, self._kind, self._project = folder, kind, project
        self._do, self._lane, self._lock = do, lane, threading.RLock()
        self._now: dict[str, Work] = {}
        self._handles: dict[str, Handle] = {}
        self._closing = threading.Event()

    def resume_all(self) -> None:
        """Go on with what an earlier process left undone, oldest first."""
        for one in reversed(self.all()):
            if one.is_under_way:
                waits = one.state == "working"
                self._begin(replace(one, state="waiting") if waits else one)

    def close(self) -> None:
        """Begin nothing more and let what is under way end; it goes on at the next start."""
        with self._lock:
            self._closing.set()
            for handle in self._handles.values():
                handle.closing.set()
                handle.halt.set()

    def all(self) -> tuple[Work, ...]:
        """Return every piece of work, newest first."""
        with self._lock:
            found = {one.key: one for path in self._folder.glob("*.json") if (one := read(path))}
            found |= self._now
        return tuple(sorted(found.values(), key=lambda one: one.asked, reverse=True))

    def find(self, key: str) -> Work | None:
        """Return one by its key."""
        if not KEY.fullmatch(key):
            return None
        with self._lock:
            return self._now.get(key) or read(self._folder / f"{key}.json")

    def before(self, key: str) -> int:
        """Return how many pieces of work are done before this one."""
        return len(self._lane.before(key))

    def ask(self, key: str, request: Mapping[str, Any], *, who: str, at: str) -> Work:
        """Take a request; one whose key is known is that one."""
        with self._lock:
            known = self.find(key)
            if known is not None:
                return known
            new = Work(key, self._kind, self._project, dict(request), (Step(at, who, "asked"),))
            keep(self._folder, new)
            log.info("asked for", kind=self._kind, project=self._project, key=key, by=who)
            self._begin(new)
            return new

    def stop(self, key: str, *, who: str, at: str) -> Work:
        """Let it end and keep what is done. Raises NothingToDoError where it is not under way."""
        with self._lock:
            known = self._now.get(key)
            if known is None or not known.is_under_way:
                raise NothingToDoError("it is not under way any more: it has ended already")
            if known.state == "stopping":
                return known
            log.info("stopped", kind=self._kind, project=self._project, key=key, by=who)
            history = (*known.history, Step(at, who, "stopped"))
            if known.state == "waiting":  # its turn has not come, so there is nothing to wait for
                return self._end(key, state="stopped", history=history)
            changed = self._set(key, state="stopping", history=history)
            keep(self._folder, changed)
            handle = self._handles[key]
            handle.stop.set()
            handle.halt.set()
            return changed

    def resume(self, key: str, *, who: str, at: str) -> Work:
        """Go on with what was stopped or has failed. Raises NothingToDoError for anything else."""
        with self._lock:
            known = self.find(key)
            if known is None or known.state not in ("stopped", "failed"):
                raise NothingToDoError("there is nothing to resume: it is under way, or done")
            log.info("resumed", kind=self._kind, project=self._project, key=key, by=who)
            steps = (*known.history, Step(at, who, "resumed"))
            again = replace(known, state="waiting", problem="", history=steps)
            keep(self._folder, again)
            self._begin(again)
            return again

    def _begin(self, work: Work) -> None:
        with self._lock:
            if work.key in self._now or self._closing.is_set():
                return
            key = work.key
            self._now[key] = work
            handle = Handle(
                lambda stage, done, total: self._tell(key, stage, done, total),
                threading.Event(),
                threading.Event(),
                threading.Event(),
                lambda values: self._remember(key, values),
            )
            self._handles[key] = handle
        self._lane.put(key, lambda: self._work(key))

    def _work(self, key: str) -> None:
        """Do it; the edge where an error becomes a sentence for the person who asked."""
        with self._lock:
            handle, known = self._handles.get(key), self._now.get(key)
            if (
                handle is None
                or known is None
                or self._closing.is_set()
                or known.state == "working"
            ):
                return
            if known.state == "stopping":  # its service was killed before it had stopped
                self._end(key, state="stopped")
                return
            work = self._set(key, state="working")
            keep(self._folder, work)
        try:
            ended = self._do(work, handle)
        except (BridgeError, TrainerError, FunctionError, OSError) as error:
            if self._closing.is_set():
                return
            log.warning("not done", kind=self._kind, key=key, error=str(error))
            self._end(key, state="failed", problem=without_secrets(_words(error)))
        except Exception as error:  # a defect: told, and never the end of the others
            if self._closing.is_set():
                return
            log.exception("not done", kind=self._kind, key=key)
            problem = without_secrets(f"{type(error).__name__}: {error}")
            self._end(key, state="failed", problem=problem)
        else:
            if ended.stopped and self._closing.is_set() and not handle.stop.is_set():
                return  # the file says "working": the next start goes on
            state = "stopped" if ended.stopped else "done"
            self._end(key, state=state, made={**self._now[key].made, **ended.made})

    def _end(self, key: str, **changes: Any) -> Work:
        with self._lock:
            ended = self._set(key, stage="", done=0, total=0, **changes)
            keep(self._folder, ended)
            del self._now[key], self._handles[key]
            return ended

    def _tell(self, key: str, stage: str, done: int, total: int) -> None:
        with self._lock:
            self._set(key, stage=stage, done=done, total=total)

    def _remember(self, key: str, values: Mapping[str, Any]) -> None:
        with self._lock:
            made = {**self._now[key].made, **values}
            keep(self._folder, self._set(key, made=made))

    def _set(self, key: str, **changes: Any) -> Work:
        self._now[key] = changed = replace(self._now[key], **changes)
        return changed


def _words(error: Exception) -> str:
    faults = getattr(error, "faults", ())
    return "; ".join(faults) if faults else str(error)
