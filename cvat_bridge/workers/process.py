"""A worker: says that it is there, takes work, and ends when it may not work any more."""

from __future__ import annotations

import os
import platform
import secrets as randoms
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS

from cvat_bridge.config import Secrets
from cvat_bridge.database.flags import Flags
from cvat_bridge.database.keeping import KeptLease
from cvat_bridge.database.leases import Lease, Leases
from cvat_bridge.errors import (
    LeaseLostError,
    LedgerError,
    NotReadyError,
    UnreachableError,
    WorkFailedError,
)
from cvat_bridge.home import Home
from cvat_bridge.progress import Report
from cvat_bridge.queues.names import ANY, PROTOCOL, WORKER, durable_config, queue_name
from cvat_bridge.queues.presence import Worker, service_database
from cvat_bridge.queues.requests import FitRequest, ShardRequest
from cvat_bridge.secrecy import without_secrets
from cvat_bridge.workers.fits import do_fit
from cvat_bridge.workers.handover import hand_on, keep_handing_on
from cvat_bridge.workers.place import WorkPlace, work_place
from cvat_bridge.workers.shards import read_shard
from trainer.runs.provenance import installed_version

LEASE_SECONDS = 15.0
_LOOK_SECONDS = 3.0
_POLL_SECONDS = 0.5
log = structlog.get_logger("work")


def work(
    path: Path,
    secrets: Secrets,
    *,
    queues: Sequence[str],
    device: str,
    memory: int,
    threads: int | None,
    ready: Callable[[Worker], None],
    lease_seconds: float = LEASE_SECONDS,
    ended: threading.Event | None = None,
) -> None:
    """Work until a signal, or `ended`, says to end; what is under way then is handed on.

    memory: bytes of the device. threads: of a model that reads frames, None for one a core. ready:
    called once work can come. Raises ConfigError, LedgerError, BlobError.
    """
    over = ended or threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    with ExitStack() as stack:
        place = stack.enter_context(work_place(path, secrets, device=device, threads=threads))
        database = stack.enter_context(service_database(place.shared))
        leases = Leases(database)
        about = Worker(
            "", platform.node(), installed_version(), PROTOCOL, tuple(queues), device, memory
        )
        name, lease = take_name(leases, place.home, about, seconds=lease_seconds)
        kept = stack.enter_context(KeptLease(leases, lease, seconds=lease_seconds))
        threading.Thread(target=_watch, args=(kept, over), name="watch", daemon=True).start()
        doing = Doing(kept, about)
        DBOS(config=durable_config(place.shared, name))
        stack.callback(DBOS.destroy, destroy_registry=True, workflow_completion_timeout_sec=0)
        _register(place, Flags(database), doing)
        names = [queue_name(queue, one) for queue in queues for one in (ANY, device)]
        DBOS.listen_queues(names)
        DBOS.launch()
        for one in names:
            DBOS.register_queue(
                one,
                worker_concurrency=1,
                polling_interval_sec=_POLL_SECONDS,
                on_conflict="always_update",
            )
        hand_on(leases, name)
        thread = threading.Thread(
            target=keep_handing_on,
            args=(leases, name),
            kwargs={"every": _LOOK_SECONDS, "ended": over},
            name="handover",
            daemon=True,
        )
        thread.start()
        log.info("ready for work", worker=name, queues=list(queues), device=device)
        ready(Worker(name, **{k: v for k, v in vars(about).items() if k != "name"}))
        over.wait()
        thread.join()


def take_name(leases: Leases, home: Home, about: Worker, *, seconds: float) -> tuple[str, Lease]:
    """Take the first free name of this machine and home: stable, and one process's at a time."""
    stem = f"{platform.node()[:40]}-{home.identity()[:6]}"
    holder = f"{os.getpid()}-{randoms.token_hex(8)}"
    number = 0
    while True:
        number += 1
        name = f"{stem}-{number}"
        lease = leases.acquire(WORKER + name, holder, seconds=seconds, about=about.about())
        if lease is not None:
            return name, lease


class Doing:
    """What a worker is at, as its lease says it. One piece of work at a time on one device."""

    def __init__(self, kept: KeptLease, about: Worker) -> None:
        self._kept, self._about, self._said = kept, about, 0.0
        self.lock = threading.Lock()

    def say(self, doing: Mapping[str, Any], *, soon: bool = True) -> None:
        """Say what it is at; {} for nothing. soon: in any case, else at most once a second."""
        if soon or time.monotonic() - self._said >= 1.0:
            self._said = time.monotonic()
            self._kept.about({**self._about.about(), "doing": dict(doing)})

    def check(self) -> None:
        """Raise LeaseLostError where the work is somebody else's by now."""
        self._kept.check()

    def report(self, work: str) -> Report:
        """Return a callback for the progress of a piece of work."""

        def on_progress(stage: str, done: int, total: int) -> None:
            now = {"work": work, "stage": stage, "done": done, "total": total}
            self.say(now, soon=done >= total)

        return on_progress

    def events(self, work: str) -> Callable[[Mapping[str, Any]], None]:
        """Return a callback for the events of a fit."""

        def on_event(event: Mapping[str, Any]) -> None:
            if event.get("event") == "progress":
                said = {key: event.get(key) for key in ("stage", "done", "total", "figures")}
                self.say({"work": work, **said}, soon=event["done"] >= event["total"])

        return on_event


def _register(place: WorkPlace, flags: Flags, doing: Doing) -> None:
    @DBOS.workflow(name="fit")
    def fit(request: dict[str, Any]) -> dict[str, Any]:
        asked = FitRequest(**request)

        def learn(_report: Report) -> dict[str, Any]:
            return do_fit(
                asked,
                device=place.device,
                home=place.home,
                blobs=place.blobs,
                flags=flags,
                mlflow=place.shared.mlflow_url or "none",
                on_event=doing.events(asked.id),
            )

        return _done(doing, asked.id, learn)

    @DBOS.workflow(name="predict")
    def predict(request: dict[str, Any]) -> dict[str, Any]:
        asked = ShardRequest(**{**request, "frames": tuple(request["frames"])})

        def read(report: Report) -> dict[str, Any]:
            gateway = place.gateway(asked.project)
            return read_shard(
                asked,
                gateway=gateway,
                blobs=place.blobs,
                home=place.home,
                report=report,
                threads=place.threads,
            )

        return _done(doing, asked.id, read)


def _done(doing: Doing, name: str, perform: Callable[[Report], dict[str, Any]]) -> dict[str, Any]:
    """Do a piece of work as one recorded step, and say meanwhile what it is."""

    def step() -> dict[str, Any]:
        with doing.lock:
            doing.say({"work": name, "stage": "begin", "done": 0, "total": 0})
            log.info("work begun", work=name)
            try:
                answer = perform(doing.report(name))
                doing.check()
            except LeaseLostError:
                _end_at_once()
                raise
            except WorkFailedError:
                raise
            # The edge: whatever it is, the machine that asked reads the record of it.
            except Exception as error:
                log.exception("work failed", work=name)
                passing = (UnreachableError, NotReadyError)
                kind = MayPassError if isinstance(error, passing) else WorkFailedError
                raise kind(type(error).__name__, without_secrets(str(error))) from None
            finally:
                doing.say({})
            log.info("work done", work=name)
            return answer

    options: Any = {
        "name": name,
        "retries_allowed": True,
        "max_attempts": 5,
        "interval_seconds": 2.0,
        "should_retry": lambda error: isinstance(error, MayPassError),
    }
    answer: dict[str, Any] = DBOS.run_step(options, step)
    return answer


class MayPassError(WorkFailedError):
    """What is worth trying again in seconds: CVAT did not answer."""


def _watch(kept: KeptLease, over: threading.Event) -> None:
    """End a process that was stopped for longer than its lease: its work is somebody else's."""
    while not over.wait(1.0):
        try:
            kept.check()
        except LeaseLostError:
            _end_at_once()
        except LedgerError as error:
            log.warning("whether this worker may go on cannot be seen", why=str(error))


def _end_at_once() -> None:
    """End this process without a word to the database; a fit that it started ends with it."""
    log.error("the lease of this worker was lost, so it ends: its work is done elsewhere")
    os._exit(1)
