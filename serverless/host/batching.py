"""Concurrent calls of one model, answered together.

A call that comes alone runs at once. Those that come while the model is busy wait for it and then
go as one batch, so that waiting is never longer than it would have been without batches.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field

from serverless.errors import BusyError, CallTimeoutError, FunctionError, PausedError
from serverless.host.runners import Answered, Ask

# Images that are being decoded get this long to join a batch that is about to start.
_WINDOW_SECONDS = 0.004
# A call waits this long for a process that an image of its batch ended.
_LONGEST_WAIT_SECONDS = 10.0

Run = Callable[[Sequence[Ask]], list[Answered | FunctionError]]


@dataclass
class _Call:
    ask: Ask
    answer: asyncio.Future[Answered]


@dataclass
class Batcher:
    """One model's queue, for one event loop.

    run: images → an answer each; called in a thread of `threads`, one batch at a time.
    max_batch: images of one batch. max_waiting: calls that may wait. seconds: limit of one batch,
    None where `run` ends by itself. ran: told the size of every batch.
    """

    run: Run
    threads: Executor
    max_batch: int
    max_waiting: int
    seconds: float | None
    ran: Callable[[int], None] = lambda _size: None
    arriving: int = 0
    _waiting: deque[_Call] = field(default_factory=deque)
    _worker: asyncio.Task[None] | None = None

    async def detect(self, ask: Ask) -> Answered:
        """Answer one image.

        Raises BusyError when too many wait, CallTimeoutError, and what run raises.
        """
        if len(self._waiting) >= self.max_waiting:
            raise BusyError(f"{len(self._waiting)} calls wait for this model; try again")
        answer: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(ask, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            if self.arriving and len(self._waiting) < self.max_batch:
                await asyncio.sleep(_WINDOW_SECONDS)
            count = min(self.max_batch, len(self._waiting))
            calls = [self._waiting.popleft() for _ in range(count)]
            await self._answer(calls)

    async def _answer(self, calls: list[_Call]) -> None:
        calls = [call for call in calls if not call.answer.done()]
        if not calls:
            return
        try:
            found = await self._run_within(calls)
        except CallTimeoutError as error:
            _settle(calls, [error] * len(calls))
        except Exception as error:  # noqa: BLE001 - handed to the callers, who raise it
            if len(calls) == 1:
                _settle(calls, [error])
            else:
                # One image may have broken the batch; the others shall not suffer for it.
                for call in calls:
                    await self._answer_apart(call)
        else:
            _settle(calls, found)

    async def _answer_apart(self, call: _Call) -> None:
        """Answer one call of a batch that failed.

        Where the image before it, alone, ended the model's process once more, that process waits a
        moment before it is started again. That is not this caller's fault: it waits as well.
        """
        limit = time.monotonic() + _LONGEST_WAIT_SECONDS
        while not call.answer.done():
            try:
                found = await self._run_within([call])
            except PausedError as error:
                if time.monotonic() + error.seconds < limit:
                    await asyncio.sleep(error.seconds)
                else:
                    _settle([call], [error])
            except Exception as error:  # noqa: BLE001 - handed to the caller, who raises it
                _settle([call], [error])
            else:
                _settle([call], found)

    async def _run_within(self, calls: Sequence[_Call]) -> list[Answered | FunctionError]:
        work = asyncio.get_running_loop().run_in_executor(
            self.threads, self.run, [call.ask for call in calls]
        )
        self.ran(len(calls))
        try:
            return await asyncio.wait_for(asyncio.shield(work), self.seconds)
        except asyncio.TimeoutError:
            # The thread cannot be ended; it goes on alone and the next batch takes another.
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            raise CallTimeoutError(f"the model took longer than {self.seconds:g} s") from None


def _settle(calls: Sequence[_Call], answers: Sequence[Answered | Exception]) -> None:
    for call, answer in zip(calls, answers, strict=True):
        if call.answer.done():
            continue
        if isinstance(answer, Exception):
            call.answer.set_exception(answer)
        else:
            call.answer.set_result(answer)
