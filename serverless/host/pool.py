"""The models in memory: loaded on first use, swapped without a failed call, freed by last use."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from serverless.errors import FunctionError, ModelError
from serverless.host.models import identity
from serverless.host.runners import Runner
from serverless.store.functions import Entry

Key = tuple[str, str, str]  # see models.identity

# A model that failed to load is tried again after this, in case the disk or mount came back; each
# further time after twice as long.
_RETRY_SECONDS = 30.0
_LONGEST_RETRY_SECONDS = 600.0


@dataclass(frozen=True)
class Served:
    """A model and the entry it was loaded for, whose labels are the ones it knows."""

    entry: Entry
    runner: Runner


@dataclass(frozen=True)
class _Failed:
    """Loads that failed: when the last one did, why, and how many in a row."""

    at: float = 0.0
    fault: str = ""
    times: int = 0


@dataclass
class Pool:
    """Models by bundle and version; two functions of one bundle share one. For one event loop.

    load: Entry → Runner, run in a thread of `threads`. memory_bytes: bound on what the models
    hold; the one used last stays even where it alone holds more. at_once: loads at a time.
    loaded: told of every load, with the entry and what went wrong, "" for nothing.
    """

    load: Callable[[Entry], Runner]
    threads: Executor
    memory_bytes: int
    at_once: int = 1
    loaded: Callable[[Entry, str], None] = lambda _entry, _fault: None
    _models: OrderedDict[Key, Runner] = field(default_factory=OrderedDict)
    _serving: dict[str, Served] = field(default_factory=dict)
    _loading: dict[Key, asyncio.Task[Runner]] = field(default_factory=dict)
    _failed: dict[Key, _Failed] = field(default_factory=dict)
    _loads: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._loads = asyncio.Semaphore(self.at_once)

    async def model(self, entry: Entry) -> Served:
        """Return what answers this function now, loading it when nothing does.

        While another version loads, and when it cannot be loaded, the one before it goes on
        serving. Raises ModelError when there is none.
        """
        key = identity(entry)
        if key in self._models:
            return self._serve(entry)
        fault = self._recent_fault(key)
        task = None if fault else self._start(entry)
        before = self._serving.get(entry.id)
        if before is not None and identity(before.entry) in self._models:
            self._models.move_to_end(identity(before.entry))
            return before
        if task is None:
            raise ModelError(fault)
        # A caller who gives up must not end the load that others wait for.
        return Served(entry, await asyncio.shield(task))

    def prefetch(self, entry: Entry, *, swap_only: bool = False) -> None:
        """Begin to load what a call will need; with swap_only, if an older version serves it."""
        key = identity(entry)
        if key in self._models or (swap_only and entry.id not in self._serving):
            return
        if not self._recent_fault(key):
            self._start(entry)

    def keep_only(self, function_ids: set[str]) -> None:
        """Forget what answered functions that are no longer published."""
        for function_id in set(self._serving) - function_ids:
            self._release(identity(self._serving.pop(function_id).entry))

    def version_serving(self, entry: Entry) -> str | None:
        """Return the version that answers now, or None when nothing is loaded.

        Also None while the entry's own version answers as it was published before: without the
        interactor, say, that is to make masks of its boxes from now on.
        """
        served = self._serving.get(entry.id)
        if served is None or identity(served.entry) not in self._models:
            return None
        renewed = identity(served.entry) != identity(entry)
        return None if renewed and served.runner.version == entry.version else served.runner.version

    def fault(self, entry: Entry) -> str:
        """Return why the entry's own version cannot answer, "" if it can or is untried."""
        key = identity(entry)
        if key in self._models:
            return self._models[key].trouble
        return self._failed.get(key, _Failed()).fault

    @property
    def count(self) -> int:
        """How many models are held."""
        return len(self._models)

    @property
    def held_bytes(self) -> int:
        """Bytes that the models hold."""
        return sum(runner.held_bytes for runner in self._models.values())

    def _recent_fault(self, key: Key) -> str:
        failed = self._failed.get(key, _Failed())
        pause = min(_LONGEST_RETRY_SECONDS, _RETRY_SECONDS * 2 ** (failed.times - 1))
        return failed.fault if failed.fault and time.monotonic() - failed.at < pause else ""

    def _start(self, entry: Entry) -> asyncio.Task[Runner]:
        key = identity(entry)
        if key not in self._loading:
            task = asyncio.create_task(self._load(entry, key))
            # Nobody may be waiting for it; its fault is kept in _failed.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._loading[key] = task
        return self._loading[key]

    async def _load(self, entry: Entry, key: Key) -> Runner:
        try:
            async with self._loads:
                loop = asyncio.get_running_loop()
                runner = await loop.run_in_executor(self.threads, self.load, entry)
        # An engine runs foreign weights: whatever it raises is this model's fault, and told so.
        except Exception as error:
            fault = str(error) if isinstance(error, FunctionError) else repr(error)
            times = self._failed.get(key, _Failed()).times + 1
            self._failed[key] = _Failed(time.monotonic(), fault, times)
            self.loaded(entry, fault)
            if isinstance(error, FunctionError):
                raise
            raise ModelError(f"model {entry.id!r} cannot be loaded: {fault}") from error
        finally:
            self._loading.pop(key, None)
        self._failed.pop(key, None)
        self._models[key] = runner
        self._serve(entry)
        self.keep_within()
        self.loaded(entry, "")
        return runner

    def _serve(self, entry: Entry) -> Served:
        key, before = identity(entry), self._serving.get(entry.id)
        served = Served(entry, self._models[key])
        self._models.move_to_end(key)
        self._serving[entry.id] = served
        if before is not None and identity(before.entry) != key:
            self._release(identity(before.entry))
        return served

    def _release(self, key: Key) -> None:
        if all(identity(served.entry) != key for served in self._serving.values()):
            self._models.pop(key, None)

    def keep_within(self) -> None:
        """Let go of the models used longest ago while all together hold more than they may."""
        while self.held_bytes > self.memory_bytes and len(self._models) > 1:
            key, _ = self._models.popitem(last=False)
            for function_id in [i for i, s in self._serving.items() if identity(s.entry) == key]:
                del self._serving[function_id]
