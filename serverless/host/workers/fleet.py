"""All workers of one host, and the thread that ends those that pass their limits."""

from __future__ import annotations

import multiprocessing
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from multiprocessing import forkserver

from serverless.errors import FunctionError
from serverless.host.models import identity
from serverless.host.workers.apart import Apart
from serverless.host.workers.usage import grown_bytes, own_bytes
from serverless.host.workers.worker import Life, Limits, Worker
from serverless.store.functions import Entry

_LOOK_SECONDS = 0.05
_HUNGRY_BYTES = 256 << 20  # kept above what the model needs at rest: worth another start


class Fleet:
    """Workers of a host, one for each model but those of groups.

    groups: name → functions that share a worker, * for any letters; the first that fits counts.
    failed: told of every process that ended before its answer, with the function and why.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        groups: Mapping[str, Sequence[str]] | None = None,
        failed: Callable[[str, str], None] = lambda _function, _why: None,
    ) -> None:
        self.limits, self._failed_one = limits, failed
        # Forked from a process that has imported the libraries once and has no thread.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["serverless.host.workers.preload"])
        self.fault = ""  # why no process could be started the last time, "" where one could
        self.unwatched = ""  # why the limits could not be looked after the last time
        self._workers: weakref.WeakSet[Worker] = weakref.WeakSet()
        self._groups = [(ids, self._worker(name)) for name, ids in (groups or {}).items()]
        self._stop = threading.Event()
        threading.Thread(
            target=_watch,
            args=(weakref.ref(self), self._stop),
            name="function-limits",
            daemon=True,
        ).start()

    def load(self, entry: Entry) -> Apart:
        """Load a model in a worker; ModelError where it cannot be loaded."""
        worker = self._group_of(entry.id) or self._worker(entry.id)
        try:
            worker.load(entry)
        except FunctionError:
            self._leave(worker, identity(entry))
            raise
        return Apart(worker, entry, leave=self._leave)

    def close(self) -> None:
        """End every worker."""
        self._stop.set()
        for worker in list(self._workers):
            worker.end()

    def look(self) -> None:
        """End every process that passes a limit, and note what memory the others take."""
        for worker in list(self._workers):
            if (life := worker.life) is not None:
                self._look_at(worker, life)

    def _group_of(self, function_id: str) -> Worker | None:
        for patterns, worker in self._groups:
            if any(fnmatchcase(function_id, pattern) for pattern in patterns):
                return worker
        return None

    def _worker(self, function_id: str) -> Worker:
        worker = Worker(
            self._context,
            self.limits,
            failed=lambda why: self._failed_one(function_id, why),
            started=self._note_start,
        )
        self._workers.add(worker)
        return worker

    def _note_start(self, fault: str) -> None:
        self.fault = fault

    def _leave(self, worker: Worker, key: tuple[str, ...]) -> None:
        if all(worker is not shared for _, shared in self._groups):
            worker.end()
        else:
            # Called wherever the last holder let go: a thread of its own may wait for a lane.
            threading.Thread(target=worker.drop, args=(key,), daemon=True).start()

    def _look_at(self, worker: Worker, life: Life) -> None:
        now = time.monotonic()
        if late := [lane for lane, limit in list(life.deadlines.items()) if now > limit]:
            life.late.update(late)
            life.end("another call of this model passed its time limit")
            return
        pid = life.process.pid or 0
        grown = grown_bytes(pid)
        if grown > self.limits.memory_bytes:
            life.end(
                f"it took {grown / 2**20:.0f} MiB of memory,"
                f" more than the {self.limits.memory_bytes / 2**20:.0f} it may have"
            )
            return
        if life.resting_bytes and abs(grown - life.grown_bytes) > life.grown_bytes // 16:
            life.grown_bytes = grown
            life.memory_bytes = own_bytes(pid)
        idle = not life.deadlines and now - life.quiet_since > self.limits.idle_seconds
        if idle and life.memory_bytes > life.resting_bytes + _HUNGRY_BYTES:
            worker.rest()


def _watch(of: weakref.ref[Fleet], stop: threading.Event) -> None:
    # So that the libraries are imported before the first call comes.
    forkserver.ensure_running()
    while not stop.wait(_LOOK_SECONDS):
        fleet = of()
        if fleet is None:
            return
        try:
            fleet.look()
        # The edge of this thread: if it ended, no limit would hold any more.
        except Exception as error:  # noqa: BLE001
            fleet.unwatched = f"{type(error).__name__}: {error}"
        else:
            fleet.unwatched = ""
        del fleet
