"""The models in memory: loaded on first use, swapped without a failed call, freed by last use."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from serverless.errors import FunctionError, ModelError
from serverless.host.models import Model, identity
from serverless.store.functions import Entry

Key = tuple[str, str, str]  # see models.identity

# A model that failed to load is tried again after this, in case the disk or mount came back.
_RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class Served:
    """A model and the entry it was loaded for, whose labels are the ones it knows."""

    entry: Entry
    model: Model


@dataclass
class Pool:
    """Models by bundle and version; two functions of one bundle share one. For one event loop.

    load: Entry → Model, run in a thread of `threads`. memory_bytes: bound on the weights held;
    the model in use stays even where it alone is larger. loaded: told of every load, with the
    entry and what went wrong, "" for nothing.
    """

    load: Callable[[Entry], Model]
    threads: Executor
    memory_bytes: int
    loaded: Callable[[Entry, str], None] = lambda _entry, _fault: None
    _models: OrderedDict[Key, Model] = field(default_factory=OrderedDict)
    _serving: dict[str, Served] = field(default_factory=dict)
    _loading: dict[Key, asyncio.Task[Model]] = field(default_factory=dict)
    _failed: dict[Key, tuple[float, str]] = field(default_factory=dict)
    _one_load: asyncio.Lock = field(default_factory=asyncio.Lock)

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
        return None if renewed and served.model.version == entry.version else served.model.version

    def fault(self, entry: Entry) -> str:
        """Return why the entry's own version could not be loaded, "" if it could or is untried."""
        return self._failed.get(identity(entry), (0.0, ""))[1]

    @property
    def count(self) -> int:
        """How many models are held."""
        return len(self._models)

    @property
    def held_bytes(self) -> int:
        """Bytes of the weights held."""
        return sum(model.weight for model in self._models.values())

    def _recent_fault(self, key: Key) -> str:
        at, fault = self._failed.get(key, (0.0, ""))
        return fault if fault and time.monotonic() - at < _RETRY_SECONDS else ""

    def _start(self, entry: Entry) -> asyncio.Task[Model]:
        key = identity(entry)
        if key not in self._loading:
            task = asyncio.create_task(self._load(entry, key))
            # Nobody may be waiting for it; its fault is kept in _failed.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._loading[key] = task
        return self._loading[key]

    async def _load(self, entry: Entry, key: Key) -> Model:
        try:
            async with self._one_load:
                loop = asyncio.get_running_loop()
                model = await loop.run_in_executor(self.threads, self.load, entry)
        # An engine runs foreign weights: whatever it raises is this model's fault, and told so.
        except Exception as error:
            fault = str(error) if isinstance(error, FunctionError) else repr(error)
            self._failed[key] = (time.monotonic(), fault)
            self.loaded(entry, fault)
            if isinstance(error, FunctionError):
                raise
            raise ModelError(f"model {entry.id!r} cannot be loaded: {fault}") from error
        finally:
            self._loading.pop(key, None)
        self._failed.pop(key, None)
        self._models[key] = model
        self._serve(entry)
        self._evict()
        self.loaded(entry, "")
        return model

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

    def _evict(self) -> None:
        while self.held_bytes > self.memory_bytes and len(self._models) > 1:
            key, _ = self._models.popitem(last=False)
            for function_id in [i for i, s in self._serving.items() if identity(s.entry) == key]:
                del self._serving[function_id]
