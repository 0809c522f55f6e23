"""One call through the host: wait for the model, read the request, join a batch, answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from weakref import WeakKeyDictionary, ref

from serverless.errors import BusyError, CallTimeoutError, FunctionError, ModelError
from serverless.host.batching import Batcher
from serverless.host.intake import Pixels
from serverless.host.pool import Pool
from serverless.host.runners import Answered, Ask, Runner
from serverless.store.functions import Entry
from serverless.wire.bounds import pixels_of
from serverless.wire.requests import (
    DetectorRequest,
    InteractorRequest,
    detector_request,
    interactor_request,
    parse,
    pixels,
)

T = TypeVar("T")


@dataclass
class _Queue:
    """What waits for one model. threads: its own, so that it keeps no other model waiting."""

    threads: ThreadPoolExecutor
    batches: Batcher
    interacting: int = 0


class Calls:
    """The calls of one event loop; each model has a queue that lives as long as the model.

    threads: for requests and images. at_once: clicks that one model answers at a time.
    batch_seconds: limit of one batch, None where the model's process is ended at its limit.
    """

    def __init__(
        self,
        threads: Executor,
        room: Pixels,
        *,
        max_batch: int,
        max_waiting: int,
        at_once: int,
        batch_seconds: float | None,
        ran: Callable[[str, int], None],
        maskless: Callable[[str, int], None] = lambda _id, _count: None,
    ) -> None:
        self._threads, self._room = threads, room
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._at_once, self._seconds = at_once, batch_seconds
        self._ran, self._maskless = ran, maskless
        self._queues: WeakKeyDictionary[Runner, _Queue] = WeakKeyDictionary()

    async def answer(
        self, pool: Pool, entry: Entry, body: bytes, *, user_agent: str | None, seconds: float
    ) -> bytes:
        """Return the JSON that CVAT reads; raises the FunctionError that tells what went wrong."""
        work = self._interact if entry.kind == "interactor" else self._detect
        try:
            answered = await asyncio.wait_for(work(pool, entry, body, user_agent), seconds)
        except asyncio.TimeoutError:
            raise CallTimeoutError(f"{entry.id}: no answer within {seconds:g} s") from None
        if answered.maskless:
            self._maskless(entry.id, answered.maskless)
        return answered.content

    async def _detect(
        self, pool: Pool, entry: Entry, body: bytes, _user_agent: str | None
    ) -> Answered:
        served = await pool.model(entry)
        queue = self._queue(entry.id, served.runner).batches
        queue.arriving += 1
        arrived = False
        try:
            request, size = await self._thread(_read_detector, body)
            async with self._room.hold(size):
                image = await self._thread(pixels, request.image)
                queue.arriving -= 1
                arrived = True
                return await queue.detect(Ask(served.entry, image, request.threshold))
        finally:
            queue.arriving -= 0 if arrived else 1

    async def _interact(
        self, pool: Pool, entry: Entry, body: bytes, user_agent: str | None
    ) -> Answered:
        served = await pool.model(entry)
        queue = self._queue(entry.id, served.runner)
        if queue.interacting >= self._max_waiting:
            raise BusyError(f"{queue.interacting} calls wait for this model; try again")
        queue.interacting += 1
        try:
            request, size = await self._thread(_read_interactor, body)

            def work() -> Answered:
                return served.runner.interact(served.entry, request, user_agent=user_agent)

            async with self._room.hold(size):
                return await asyncio.get_running_loop().run_in_executor(queue.threads, work)
        finally:
            queue.interacting -= 1

    def _queue(self, function_id: str, runner: Runner) -> _Queue:
        if runner not in self._queues:
            # Callers hold the model while they wait; the queue must not keep it once it is freed.
            weak = ref(runner)

            def run(asks: Sequence[Ask]) -> list[Answered | FunctionError]:
                held = weak()
                if held is None:
                    return [ModelError("the model is not served any more") for _ in asks]
                return held.detect(asks)

            threads = ThreadPoolExecutor(self._at_once, thread_name_prefix="model")
            self._queues[runner] = _Queue(
                threads,
                Batcher(
                    run,
                    threads,
                    max_batch=self._max_batch,
                    max_waiting=self._max_waiting,
                    seconds=self._seconds,
                    ran=lambda size: self._ran(function_id, size),
                ),
            )
        return self._queues[runner]

    async def _thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _read_detector(body: bytes) -> tuple[DetectorRequest, int]:
    request = detector_request(parse(body))
    return request, pixels_of(request.image)


def _read_interactor(body: bytes) -> tuple[InteractorRequest, int]:
    request = interactor_request(parse(body))
    return request, pixels_of(request.image)
