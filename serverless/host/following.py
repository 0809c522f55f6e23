"""A host that follows a shared store looks for changes every few seconds, beside its calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from serverless.errors import StoreError
from serverless.store.following import Following
from trainer.blobs.errors import BlobError

_log = structlog.get_logger("serverless.host.server")
_READY_SECONDS = 30.0  # a start waits so long for the first look; then it serves what it has


@dataclass
class Follower:
    """Keeps a host's folder as the shared store is.

    seconds: between two looks. changed: called in the event loop after functions changed, to let
    their models be loaded before anybody asks.
    """

    following: Following
    seconds: float
    changed: Callable[[], None]
    _fault: str = ""
    _looked: float | None = None
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    async def begin(self) -> None:
        """Look once, then go on in the background until `end`."""
        first = asyncio.Event()
        self._task = asyncio.create_task(self._run(first))
        try:
            await asyncio.wait_for(first.wait(), _READY_SECONDS)
        except asyncio.TimeoutError:
            _log.warning("the shared store has not answered yet", store=str(self.following.blobs))

    async def end(self) -> None:
        """Stop looking; a look under way ends in its thread."""
        if self._task is not None:
            self._task.cancel()

    def status(self) -> dict[str, Any]:
        """Return where the store is, how long ago it was read, and what is wrong with it."""
        since = None if self._looked is None else round(time.monotonic() - self._looked, 1)
        return {
            "store": str(self.following.blobs),
            "seconds_ago": since,
            "fault": self._fault,
            "functions": dict(self.following.faults),
        }

    async def _run(self, first: asyncio.Event) -> None:
        logged: dict[str, str] = {}
        while True:
            try:
                done = await asyncio.to_thread(self.following.follow)
            except (BlobError, StoreError) as error:
                if str(error) != self._fault:
                    _log.error("the shared store cannot be followed", fault=str(error))
                self._fault = str(error)
            else:
                if self._fault:
                    _log.info("the shared store answers again", store=str(self.following.blobs))
                self._fault, self._looked = "", time.monotonic()
                if done:
                    _log.info("functions changed in the shared store", functions=list(done))
                    self.changed()
                for name, why in self.following.faults.items():
                    if logged.get(name) != why:
                        _log.error("function not taken over", function=name, fault=why)
                logged = dict(self.following.faults)
            first.set()
            await asyncio.sleep(self.seconds)
