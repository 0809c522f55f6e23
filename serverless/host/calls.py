"""One call through the host: wait for the model, decode, join a batch, put into CVAT's words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar
from weakref import WeakKeyDictionary, ref

from serverless.errors import CallTimeoutError
from serverless.host.batching import Batcher
from serverless.host.models import Model, answer_interactor, detect, shown, thresholds
from serverless.host.pool import Pool
from serverless.store.functions import Entry
from serverless.wire.requests import (
    DetectorRequest,
    detector_request,
    interactor_request,
    parse,
    pixels,
)
from trainer.data.images import RGBImage
from trainer.detections import Detections

T = TypeVar("T")


class Calls:
    """The calls of one event loop; each model has a queue that lives as long as the model."""

    def __init__(
        self,
        threads: Executor,
        *,
        max_batch: int,
        max_waiting: int,
        seconds: float,
        ran: Callable[[str, int], None],
        maskless: Callable[[str, int], None] = lambda _id, _count: None,
    ) -> None:
        self._threads = threads
        self._max_batch, self._max_waiting = max_batch, max_waiting
        self._seconds, self._ran, self._maskless = seconds, ran, maskless
        self._queues: WeakKeyDictionary[Model, Batcher] = WeakKeyDictionary()

    async def answer(
        self, pool: Pool, entry: Entry, body: bytes, *, user_agent: str | None, seconds: float
    ) -> bytes:
        """Return the JSON that CVAT reads; raises the FunctionError that tells what went wrong."""
        work = self._interact if entry.kind == "interactor" else self._detect
        try:
            return await asyncio.wait_for(work(pool, entry, body, user_agent), seconds)
        except asyncio.TimeoutError:
            raise CallTimeoutError(f"{entry.id}: no answer within {seconds:g} s") from None

    async def _detect(
        self, pool: Pool, entry: Entry, body: bytes, _user_agent: str | None
    ) -> bytes:
        served = await pool.model(entry)
        model = served.model
        queue = self._queue(entry.id, model)
        queue.arriving += 1
        try:
            request, image = await self._thread(_read_detector, body)
        finally:
            queue.arriving -= 1
        least = min(thresholds(served.entry, model, request.threshold).values())
        found = await queue.detect(image, min_score=least)

        def words() -> bytes:
            items = shown(
                served.entry,
                model,
                found,
                image=image,
                asked=request.threshold,
                maskless=lambda count: self._maskless(entry.id, count),
            )
            return _json(items)

        return await self._thread(words)

    async def _interact(
        self, pool: Pool, entry: Entry, body: bytes, user_agent: str | None
    ) -> bytes:
        served = await pool.model(entry)

        def work() -> bytes:
            request = interactor_request(parse(body))
            return _json(
                answer_interactor(served.entry, served.model, request, user_agent=user_agent)
            )

        return await self._thread(work)

    def _queue(self, function_id: str, model: Model) -> Batcher:
        if model not in self._queues:
            # Callers hold the model while they wait; the queue must not keep it once it is freed.
            weak = ref(model)

            def run(images: Sequence[RGBImage], least: float) -> list[Detections]:
                held = weak()
                return [] if held is None else detect(held, images, min_score=least)

            self._queues[model] = Batcher(
                run,
                self._threads,
                max_batch=self._max_batch,
                max_waiting=self._max_waiting,
                seconds=self._seconds,
                ran=lambda size: self._ran(function_id, size),
            )
        return self._queues[model]

    async def _thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _read_detector(body: bytes) -> tuple[DetectorRequest, RGBImage]:
    request = detector_request(parse(body))
    return request, pixels(request.image)


def _json(content: object) -> bytes:
    # NaN is no JSON: CVAT could not read the answer, so it must not leave.
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
