"""The process of a worker: it loads models and answers on its lanes until the host has gone."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, NoReturn

import cv2

from serverless.errors import FunctionError, ModelError, UnreadableImageError
from serverless.host.models import identity, load
from serverless.host.runners import Answered, Ask, Within
from serverless.host.workers.lane import Bytes, Inner
from serverless.host.workers.processes import forbid
from serverless.store.functions import Entry
from trainer.engines.runtime import give_back
from trainer.machine.portable import limit

Key = tuple[str, str, str]  # see models.identity

_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_STACK_BYTES = 8 << 20
_QUIET_SECONDS = 2.0
_BEHIND = 15  # a thirtieth of the processor time of one that goes first, where both want it


@dataclass(frozen=True)
class Bars:
    """What a worker's process may take.

    memory_bytes: of its own. threads: of one call, or None. behind: whether others go first when
    all want the processor.
    """

    memory_bytes: int
    threads: int | None = None
    behind: bool = False


def serve(lanes: Sequence[Connection], bars: Bars) -> NoReturn:
    """Answer on every lane, each in a thread of its own."""
    _enclose(bars)
    models = Models(bars.threads)
    answered = threading.Event()
    threading.Thread(target=_tidy, args=(answered,), daemon=True).start()
    for lane in lanes[1:]:
        inner = Inner(lane)
        threading.Thread(target=_answer_all, args=(inner, models, answered), daemon=True).start()
    _answer_all(Inner(lanes[0]), models, answered)


def _tidy(answered: threading.Event) -> NoReturn:
    """Give memory back once no call has come for a while; ten idle models take half as much."""
    while True:
        answered.wait()
        answered.clear()
        while answered.wait(_QUIET_SECONDS):
            answered.clear()
        give_back()


class Models:
    """The models of this process, by what two entries that share one have in common."""

    def __init__(self, threads: int | None) -> None:
        self._threads = threads
        self._held: dict[Key, Within] = {}
        self._lock = threading.Lock()

    def of(self, entry: Entry) -> Within:
        """Return the model of an entry, loaded unless it is here."""
        with self._lock:
            if identity(entry) not in self._held:
                self._held[identity(entry)] = Within(load(entry, threads=self._threads))
            return self._held[identity(entry)]

    def drop(self, key: Key) -> None:
        """Let go of a model."""
        with self._lock:
            self._held.pop(key, None)


def _answer_all(lane: Inner, models: Models, answered: threading.Event) -> NoReturn:
    while True:
        try:
            question, images = lane.hear()
        except (EOFError, OSError):
            os._exit(0)  # the host has gone; a model that hangs must not keep the process
        try:
            head, parts = _ACTIONS[question[0]](models, question[1:], images)
        except FunctionError as error:
            head, parts = _fault(error), []
        # Whatever else a model raises is its own failure, and told as that.
        except Exception as error:  # noqa: BLE001
            head, parts = _fault(ModelError(f"{type(error).__name__}: {error}")), []
        lane.answer(head, parts)
        answered.set()


Outcome = tuple[dict[str, Any], list[bytes]]


def _load(models: Models, question: tuple[Any, ...], _images: list[Bytes]) -> Outcome:
    models.of(*question)
    return {}, []


def _drop(models: Models, question: tuple[Any, ...], _images: list[Bytes]) -> Outcome:
    models.drop(*question)
    return {}, []


def _detect(models: Models, question: tuple[Any, ...], images: list[Bytes]) -> Outcome:
    entry, asks = question
    batch = [
        Ask(shown, image.reshape(shape), asked)
        for (shown, shape, asked), image in zip(asks, images, strict=True)
    ]
    answers = models.of(entry).detect(batch)
    told = [_fault(one) if isinstance(one, FunctionError) else _well(one) for one in answers]
    return {"answers": told}, [one.content for one in answers if isinstance(one, Answered)]


def _interact(models: Models, question: tuple[Any, ...], images: list[Bytes]) -> Outcome:
    entry, shown, request, user_agent = question
    whole = replace(request, image=images[0].tobytes())
    answer = models.of(entry).interact(shown, whole, user_agent=user_agent)
    return {"answers": [_well(answer)]}, [answer.content]


_ACTIONS: dict[str, Callable[[Models, tuple[Any, ...], list[Bytes]], Outcome]] = {
    "load": _load,
    "drop": _drop,
    "detect": _detect,
    "interact": _interact,
}


def _well(answer: Answered) -> dict[str, Any]:
    return {"maskless": answer.maskless}


def _fault(error: FunctionError) -> dict[str, Any]:
    unreadable = isinstance(error, UnreadableImageError)
    return {"status": error.status, "fault": str(error), "unreadable": unreadable}


def _enclose(bars: Bars) -> None:
    """Put the process under its limits, and make it end with the host."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the host ends its workers itself
    if bars.behind:
        os.nice(_BEHIND)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    # What a model prints must not get between the lines that the host's own output promises.
    os.dup2(2, 1)
    limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        # The host watches what is really used; this ends what grows quicker than it looks.
        stacks = _STACK_BYTES * (2 * (os.cpu_count() or 1) + 16)
        limit(resource.RLIMIT_DATA, _data_bytes() + bars.memory_bytes + stacks)
    if why := forbid():
        print(f"a model's process may start others here: {why}", file=sys.stderr, flush=True)
    if bars.threads is not None:
        cv2.setNumThreads(bars.threads)


def _data_bytes() -> int:
    """Return the size of this process's data segments now, in bytes; on Linux alone."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - not a real file
        return int(file.read().split()[5]) * resource.getpagesize()
