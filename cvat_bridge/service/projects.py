"""The loops of all projects of a service: one thread each, so that none waits for another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Generic, Protocol, TypeVar

import structlog

from cvat_bridge.progress import Report
from cvat_bridge.service.figures import LoopFigures, ProjectState
from cvat_bridge.service.service import Loop, TickResult

log = structlog.get_logger("service")
_EVERY_SECONDS = 1.0

C = TypeVar("C")


class ProjectWorker(Protocol):
    """What looks at one project; see assembly.Bridge."""

    def look(self) -> TickResult:
        """Look at the facts and act on them."""
        ...


class ProjectLoops(Generic[C]):
    """Keeps a loop for each project that is wanted; projects come and go while it runs.

    wanted: the configuration of each project to work on, by id; asked every second. One that
    cannot be read is logged, and what runs goes on. open_: makes what looks at a project; where
    that fails it is tried again like a look that failed. asked: whether somebody wants a round of
    a project now. status: of a project, from its records; standing: what the figures tell of them.
    """

    def __init__(
        self,
        configurations: Callable[[], Mapping[int, C]],
        open_: Callable[[C, Report], AbstractContextManager[ProjectWorker]],
        *,
        asked: Callable[[C], bool],
        status: Callable[[C], Mapping[str, Any]] = lambda _: {},
        standing: Callable[[C], ProjectState] = lambda _: ProjectState(),
        poll_seconds: float,
        figures: LoopFigures,
    ) -> None:
        self._configurations, self._open, self._asked, self._status = (
            configurations,
            open_,
            asked,
            status,
        )
        self._poll_seconds, self._figures, self._standing = poll_seconds, figures, standing
        self._running: dict[int, tuple[C, Loop, threading.Thread]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fault = ""

    def loops(self) -> dict[int, Loop]:
        """Return the loops that run, by project."""
        with self._lock:
            return {number: loop for number, (_, loop, _) in self._running.items()}

    def run(self) -> None:
        """Start and end loops as projects are added, changed, paused and removed, until stopped."""
        while not self._stop.is_set():
            self.settle()
            self._stop.wait(_EVERY_SECONDS)

    def settle(self) -> None:
        """Make the loops those that are wanted now."""
        try:
            configurations = dict(self._configurations())
        # The edge: a file that a person is editing must not end what runs.
        except Exception as error:  # noqa: BLE001
            if str(error) != self._fault:
                log.warning("the projects cannot be read; nothing is changed", error=str(error))
            self._fault = str(error)
            return
        self._fault = ""
        with self._lock:
            for number, (config, loop, thread) in list(self._running.items()):
                if number not in configurations or configurations[number] != config:
                    loop.stop()  # after the look that is under way
                if not thread.is_alive():
                    del self._running[number]
            for number, config in configurations.items():
                if number not in self._running and not self._stop.is_set():
                    self._running[number] = self._started(number, config)

    def stop(self, seconds: float = 5.0) -> None:
        """End all loops after the looks that are under way; waits so long for them."""
        self._stop.set()
        with self._lock:
            running = list(self._running.values())
        for _, loop, _ in running:
            loop.stop()
        for _, _, thread in running:
            thread.join(seconds / max(1, len(running)))

    def _started(self, number: int, config: C) -> tuple[C, Loop, threading.Thread]:
        stack = ExitStack()
        held: list[ProjectWorker] = []

        def tick() -> TickResult:
            if not held:
                held.append(stack.enter_context(self._open(config, loop.report_progress)))
            return held[0].look()

        def serve() -> None:
            with stack:
                loop.run()
            log.info("project closed", project=number)

        loop = Loop(
            tick,
            self._poll_seconds,
            lambda: self._asked(config),
            lambda: self._status(config),
            lambda: self._standing(config),
            figures=self._figures,
            project=number,
        )
        thread = threading.Thread(target=serve, name=f"project-{number}", daemon=True)
        thread.start()
        log.info("project opened", project=number)
        return config, loop, thread
