"""The projects that the page shows: those that the service works on, as they are at this moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from cvat_bridge.assembly import join_parts
from cvat_bridge.config import Config, Secrets
from cvat_bridge.loop.parts import Parts
from cvat_bridge.service.service import Loop


@dataclass(frozen=True)
class CurrentActivity:
    """What the service does at this moment.

    stage: of the step under way, "" between two. reason: what the last look led to. failures:
    looks in a row that failed.
    """

    stage: str = ""
    done: int = 0
    total: int = 0
    reason: str = ""
    failures: int = 0


class Site:
    """One project. join: makes what its loop stands on; loop: its loop, None where it is paused."""

    def __init__(
        self, config: Config, join: Callable[[], Parts], loop: Callable[[], Loop | None]
    ) -> None:
        self.config, self._join, self._loop = config, join, loop
        self._parts: Parts | None = None
        self._lock = threading.Lock()

    @property
    def id(self) -> int:
        """The project's id in CVAT."""
        return self.config.project_id

    @property
    def parts(self) -> Parts:
        """What the loop stands on, joined at first use. Raises BridgeError."""
        with self._lock:
            if self._parts is None:
                self._parts = self._join()
            return self._parts

    def doing(self) -> CurrentActivity | None:
        """Return what the project's loop does; None while it is paused."""
        loop = self._loop()
        if loop is None:
            return None
        return CurrentActivity(loop.stage, loop.done, loop.total, loop.reason, loop.failures)

    def wake(self) -> None:
        """Let the loop look soon."""
        loop = self._loop()
        if loop is not None:
            loop.wake()

    @property
    def cvat_url(self) -> str:
        """CVAT's address for browsers."""
        return cvat_address(self.config)

    def task_url(self, task_id: int) -> str:
        """Where CVAT shows a task."""
        return f"{self.cvat_url}/tasks/{task_id}"

    def frame_url(self, task_id: int, job_id: int, frame: int) -> str:
        """Where CVAT's editor opens a frame."""
        return f"{self.cvat_url}/tasks/{task_id}/jobs/{job_id}?frame={frame}"


class Sites:
    """The projects of the service, by id. Closing it drops the connections to CVAT.

    configs: the configuration of each project of today. loops: those that run.
    """

    def __init__(
        self,
        configs: Callable[[], Mapping[int, Config]],
        loops: Callable[[], Mapping[int, Loop]],
        secrets: Secrets,
    ) -> None:
        self._configs, self._loops, self._secrets = configs, loops, secrets
        self._stack, self._lock = ExitStack(), threading.Lock()
        self._known: dict[int, Site] = {}

    def get(self, project_id: int) -> Site | None:
        """Return the site of a project, None where the service does not work on it."""
        config = self._configs().get(project_id)
        if config is None:
            return None
        with self._lock:
            known = self._known.get(project_id)
            if known is None or known.config != config:
                known = Site(
                    config,
                    lambda: self._stack.enter_context(join_parts(config, self._secrets)),
                    lambda: self._loops().get(project_id),
                )
                self._known[project_id] = known
            return known

    def all(self) -> tuple[Site, ...]:
        """Return every site of today, by rising id."""
        found = (self.get(number) for number in sorted(self._configs()))
        return tuple(site for site in found if site is not None)

    def close(self) -> None:
        """Drop what was joined."""
        self._stack.close()


def cvat_address(config: Config) -> str:
    """Return CVAT's address for browsers, without the slash at its end."""
    return (config.page.cvat_url or config.cvat.url).rstrip("/")
