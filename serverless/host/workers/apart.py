"""A model in a worker's process, as the host calls it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from serverless.errors import FunctionError, ModelError
from serverless.host.models import identity
from serverless.host.runners import Answered, Ask
from serverless.host.workers.worker import Worker, fault_of
from serverless.store.functions import Entry
from serverless.wire.requests import InteractorRequest


class Apart:
    """A Runner whose model lives in a worker. The worker lets go of it once nobody holds this.

    leave: called then, with the worker and the model's key.
    """

    def __init__(
        self, worker: Worker, entry: Entry, *, leave: Callable[[Worker, tuple[str, ...]], None]
    ) -> None:
        self.version = entry.version
        self._worker, self._entry = worker, entry
        weakref.finalize(self, leave, worker, identity(entry))

    @property
    def held_bytes(self) -> int:
        """Memory of its worker, its share of what workers have in common."""
        life = self._worker.life
        return 0 if life is None else life.memory_bytes // max(1, len(life.ready))

    @property
    def trouble(self) -> str:
        """Why it counts as unhealthy, "" where it does not."""
        return self._worker.trouble

    def detect(self, asks: Sequence[Ask]) -> list[Answered | FunctionError]:
        """Answer a batch; see Worker.call for what it raises."""
        told = [(ask.entry, ask.image.shape, ask.asked) for ask in asks]
        images = [np.ascontiguousarray(ask.image).reshape(-1) for ask in asks]
        question = ("detect", self._entry, told)
        return _answers(*self._worker.call(self._entry, question, images))

    def interact(
        self, entry: Entry, request: InteractorRequest, *, user_agent: str | None
    ) -> Answered:
        """Answer the clicks on one image; see Worker.call for what it raises."""
        image = np.frombuffer(request.image, np.uint8)
        question = ("interact", self._entry, entry, replace(request, image=b""), user_agent)
        (answer,) = _answers(*self._worker.call(self._entry, question, [image]))
        if isinstance(answer, FunctionError):
            raise answer
        return answer


def _answers(head: dict[str, Any], parts: Sequence[bytes]) -> list[Answered | FunctionError]:
    try:
        contents = iter(parts)
        return [
            fault_of(one) if "fault" in one else Answered(next(contents), int(one["maskless"]))
            for one in head["answers"]
        ]
    # What a model that got hold of its process may have written.
    except (KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise ModelError("the model's process answered what is no answer") from error
