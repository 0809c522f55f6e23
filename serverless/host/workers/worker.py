"""One worker as the host sees it: a process that is started, asked, ended and started again."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from typing import Any

from serverless.errors import (
    BadRequestError,
    CallTimeoutError,
    FunctionError,
    ModelError,
    PausedError,
    UnreadableImageError,
)
from serverless.host.models import identity
from serverless.host.workers import child
from serverless.host.workers.lane import Bytes, Lane
from serverless.host.workers.usage import own_bytes
from serverless.store.functions import Entry

LANES = 4  # calls that one worker answers at a time
_FIRST_PAUSE = 0.5  # seconds, after the second failure in a row
_LONGEST_PAUSE = 60.0
_RECENT_SECONDS = 600.0
_REPEATED = 3  # failures within that make a model unhealthy
_ENDED_SECONDS = 5.0
_DYING_SECONDS = 1.0

# How a process ended may be read by one thread only, and starting one reads it of all others.
_PROCESSES = threading.Lock()
_STATUSES: dict[int, type[FunctionError]] = {400: BadRequestError}


@dataclass(frozen=True)
class Limits:
    """What one worker may take.

    memory_bytes: of its own memory. call_seconds: of one run of a model. load_seconds: of
    starting a process and loading one model. threads: of one call; None for one a core.
    idle_seconds: without a call, until a process that kept much memory of a call is ended.
    """

    memory_bytes: int
    call_seconds: float
    load_seconds: float = 120.0
    threads: int | None = None
    idle_seconds: float = 10.0


@dataclass(eq=False)
class Life:
    """One process of a worker, from its start to its end.

    doom: why we ended it, "" where we did not. late: the lanes whose calls passed their limit.
    """

    process: BaseProcess
    lanes: queue.SimpleQueue[Lane]
    ready: set[child.Key] = field(default_factory=set)
    deadlines: dict[int, float] = field(default_factory=dict)  # by id of the lane
    late: set[int] = field(default_factory=set)
    doom: str = ""
    rested: bool = False
    memory_bytes: int = 0
    quiet_since: float = field(default_factory=time.monotonic)
    resting_bytes: int = 0
    grown_bytes: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether the process is there; the system may have ended it while nobody asked."""
        return bool(self.deadlines) or not wait([self.process.sentinel], 0)

    def end(self, doom: str) -> None:
        """Kill the process, and say why to those who wait for it."""
        self.doom = self.doom or doom
        if self.process.pid is not None:
            try:
                os.kill(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def last_word(self) -> str:
        """Say how the process ended; one that lives on although its answer was none is ended."""
        if not self.doom and not wait([self.process.sentinel], _DYING_SECONDS):
            self.end("its process answered what is no answer")
        return self.why()

    def why(self) -> str:
        """Say how the process ended, in words; waits until it has."""
        wait([self.process.sentinel], _ENDED_SECONDS)
        with _PROCESSES:
            code = self.process.exitcode
        if self.doom:
            return self.doom
        if code is None:
            return "its process does not answer any more"
        if code >= 0:
            return f"its process ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"its process crashed ({name})"


class Worker:
    """A process for one model or several. Safe for several threads; as many calls as LANES.

    failed: told why, each time that the process ended although we wanted its answer.
    """

    def __init__(
        self,
        context: ForkServerContext,
        limits: Limits,
        *,
        failed: Callable[[str], None] = lambda _why: None,
        started: Callable[[str], None] = lambda _fault: None,
    ) -> None:
        self.limits = limits
        self._context, self._failed, self._started = context, failed, started
        self._life: Life | None = None
        self._lock = threading.Lock()
        self._failures: deque[tuple[float, str]] = deque(maxlen=64)
        self._in_a_row = 0

    @property
    def life(self) -> Life | None:
        """The process that runs now, None where there is none."""
        return self._life

    @property
    def trouble(self) -> str:
        """Why it counts as unhealthy, "" where it does not."""
        recent = self._recent()
        if len(recent) < _REPEATED:
            return ""
        return f"failed {len(recent)} times within ten minutes, the last time since {recent[-1]}"

    def _recent(self) -> list[str]:
        since = time.monotonic() - _RECENT_SECONDS
        return [why for at, why in list(self._failures) if at > since]

    def load(self, entry: Entry) -> None:
        """Start the process where there is none, and load a model in it; ModelError as told."""
        self._prepared(entry)

    def call(
        self, entry: Entry, question: tuple[Any, ...], images: Sequence[Bytes]
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Ask about a model, which is loaded first where it has to be.

        Raises CallTimeoutError where this call passed its limit, PausedError while the worker
        must not be started again, and ModelError for everything else that ended it.
        """
        life = self._prepared(entry)
        try:
            answer = self._ask(life, question, images, self.limits.call_seconds)
        except ModelError:
            if not life.rested:
                raise
            # It was sent to rest in the moment that this call came.
            return self.call(entry, question, images)
        self._in_a_row = 0
        return answer

    def drop(self, key: child.Key) -> None:
        """Let go of a model in the process, where there is one."""
        life = self._life
        if life is not None and key in life.ready:
            life.ready.discard(key)
            self._ask(life, ("drop", key), (), self.limits.call_seconds)
            if not life.ready:
                self.rest()

    def end(self) -> None:
        """End the process for good."""
        life, self._life = self._life, None
        if life is not None:
            life.end("the model is not served any more")

    def rest(self) -> None:
        """End the process of an idle worker; the next call starts another."""
        with self._lock:
            life = self._life
            if life is not None and not life.deadlines:
                self._life, life.rested = None, True
                life.end("it rests")

    def _prepared(self, entry: Entry) -> Life:
        key = identity(entry)
        life = self._life
        if life is not None and key in life.ready and life.goes_on:
            return life
        with self._lock:
            life = self._life
            if life is None or not life.goes_on:
                self._wait_for_turn()
                life = self._life = self._start()
        if key not in life.ready:
            self._ask(life, ("load", entry), (), self.limits.load_seconds)
            life.ready.add(key)
            life.memory_bytes = life.resting_bytes = self._measured(life)
        return life

    def _wait_for_turn(self) -> None:
        if self._in_a_row < 2:
            return
        at, why = self._failures[-1]
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (self._in_a_row - 2))
        left = at + pause - time.monotonic()
        if left > 0:
            raise PausedError(
                f"the model failed {self._in_a_row} times in a row, the last time since {why};"
                f" it is started again in {left:.1f} s",
                seconds=left,
            )

    def _start(self) -> Life:
        pairs = [self._context.Pipe() for _ in range(LANES)]
        # What fails again and again costs processor time that the good ones want.
        behind = len(self._recent()) >= _REPEATED
        bars = child.Bars(self.limits.memory_bytes, self.limits.threads, behind)
        process = self._context.Process(
            target=child.serve, args=([inner for _, inner in pairs], bars), daemon=True
        )
        try:
            with _PROCESSES, _without_main():
                process.start()
        except (OSError, EOFError) as error:
            fault = f"no process can be started for a model: {error}"
            self._started(fault)
            raise ModelError(fault) from error
        finally:
            for _, inner in pairs:
                inner.close()
        self._started("")
        lanes: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        assert process.pid is not None  # noqa: S101 - it was started
        for outer, _ in pairs:
            lanes.put(Lane(outer, process.pid))
        return Life(process, lanes)

    def _ask(
        self, life: Life, question: tuple[Any, ...], images: Sequence[Bytes], seconds: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        lane = life.lanes.get()
        life.deadlines[id(lane)] = time.monotonic() + seconds
        try:
            head, parts = lane.ask(question, images)
        # A pipe that breaks, and what is no answer: either way this process is of no more use.
        except (EOFError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
            raise self._lost(life, lane, seconds) from error
        finally:
            life.deadlines.pop(id(lane), None)
            life.quiet_since = time.monotonic()
            life.lanes.put(lane)
        if "fault" in head:
            raise fault_of(head)
        return head, parts

    def _lost(self, life: Life, lane: Lane, seconds: float) -> FunctionError:
        """Note that a process has ended; returns what to tell the caller of this lane."""
        with self._lock:
            if self._life is life:
                self._life = None
                why = life.last_word()
                self._failures.append((time.monotonic(), why))
                self._in_a_row += 1
                self._failed(why)
        if id(lane) in life.late:
            return CallTimeoutError(
                f"the model took longer than {seconds:g} s, so its process was ended"
            )
        return ModelError(f"no answer from the model, since {life.why()}")

    def _measured(self, life: Life) -> int:
        return own_bytes(life.process.pid or 0)


def fault_of(head: dict[str, Any]) -> FunctionError:
    """Return the error that a worker's answer tells of."""
    if head.get("unreadable"):
        return UnreadableImageError(str(head["fault"]))
    status = int(head.get("status", 500))
    return _STATUSES.get(status, ModelError)(str(head["fault"]))


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide where the main module lies, so that a new process does not run it.

    multiprocessing runs it again in every process. A worker needs nothing of it, and a script
    without a guard that starts a host would start another one there.
    """
    main = vars(sys.modules["__main__"])
    hidden = ("__file__", "__spec__")
    kept: dict[str, Any] = {name: main[name] for name in hidden if name in main}
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(kept)
