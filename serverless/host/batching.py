"""Concurrent calls of one model, answered together.

A call that comes alone runs at once. Those that come while the model is busy wait for it and then
go as one batch, so that waiting is never longer than it would have been without batches.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from serverless.errors import BusyError, CallTimeoutError
from trainer.data.images import RGBImage
from trainer.detections import Detections

# Images that are being decoded get this long to join a batch that is about to start.
_WINDOW_SECONDS = 0.004

Run = Callable[[Sequence[RGBImage], float], list[Detections]]


@dataclass
class _Call:
    image: RGBImage
    min_score: float
    answer: asyncio.Future[Detections]


@dataclass
class Batcher:
    """One model's queue, for one event loop.

    run: images and the least score wanted → one Detections an image; called in a thread of
    `threads`, one batch at a time. max_batch: images of one batch. max_waiting: calls that may
    wait. seconds: limit of one batch. ran: told the size of every batch.
    """

    run: Run
    threads: Executor
    max_batch: int
    max_waiting: int
    seconds: float
    ran: Callable[[int], None] = lambda _size: None
    arriving: int = 0
    _waiting: deque[_Call] = field(default_factory=deque)
    _worker: asyncio.Task[None] | None = None

    async def detect(self, image: RGBImage, *, min_score: float) -> Detections:
        """Answer one image; scores may lie below min_score where a neighbour asked for less.

        Raises BusyError when too many wait, CallTimeoutError, and what run raises.
        """
        if len(self._waiting) >= self.max_waiting:
            raise BusyError(f"{len(self._waiting)} calls wait for this model; try again")
        answer: asyncio.Future[Detections] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(image, min_score, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            if self.arriving and len(self._waiting) < self.max_batch:
                await asyncio.sleep(_WINDOW_SECONDS)
            count = min(self.max_batch, len(self._waiting))
            calls = [self._waiting.popleft() for _ in range(count)]
            await self._answer([call for call in calls if not call.answer.done()])

    async def _answer(self, calls: list[_Call]) -> None:
        if not calls:
            return
        least = min(call.min_score for call in calls)
        work = asyncio.get_running_loop().run_in_executor(
            self.threads, self.run, [call.image for call in calls], least
        )
        self.ran(len(calls))
        try:
            found = await asyncio.wait_for(asyncio.shield(work), self.seconds)
        except asyncio.TimeoutError:
            # The thread cannot be ended; it goes on alone and the next batch takes another.
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            limit = CallTimeoutError(f"the model took longer than {self.seconds:g} s")
            _settle(calls, [limit] * len(calls))
        except Exception as error:  # noqa: BLE001 - handed to the callers, who raise it
            if len(calls) == 1:
                _settle(calls, [error])
            else:
                # One image may have broken the batch; the others shall not suffer for it.
                for call in calls:
                    await self._answer([call])
        else:
            _settle(calls, found)


def _settle(calls: Sequence[_Call], answers: Sequence[Detections | Exception]) -> None:
    for call, answer in zip(calls, answers, strict=True):
        if call.answer.done():
            continue
        if isinstance(answer, Exception):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
