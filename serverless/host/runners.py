"""What answers for one published model: here in the host's process, or apart in a worker's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from serverless.errors import FunctionError
from serverless.host.models import Model, answer_interactor, detect, shown, thresholds
from serverless.store.functions import Entry
from serverless.wire.requests import InteractorRequest
from trainer.data.images import RGBImage


@dataclass(frozen=True)
class Ask:
    """One image (H, W, 3) for a detector.

    entry: the function that was called, whose labels the answer shows. asked: the threshold of
    the caller, None where it is left to the function.
    """

    entry: Entry
    image: RGBImage
    asked: float | None


@dataclass(frozen=True)
class Answered:
    """The JSON that CVAT reads; maskless: boxes not sent, since no mask was found in them."""

    content: bytes
    maskless: int = 0


class Runner(Protocol):
    """A loaded model. Its methods block, so they are called in threads."""

    @property
    def version(self) -> str:
        """The bundle's version."""
        ...

    @property
    def held_bytes(self) -> int:
        """Memory that the model takes now, in bytes."""
        ...

    @property
    def trouble(self) -> str:
        """Why it counts as unhealthy although it is loaded, "" where it does not."""
        ...

    def detect(self, asks: Sequence[Ask]) -> list[Answered | FunctionError]:
        """Answer a batch; what concerns one image only stands in its place of the list."""
        ...

    def interact(
        self, entry: Entry, request: InteractorRequest, *, user_agent: str | None
    ) -> Answered:
        """Answer the clicks on one image."""
        ...


@dataclass(frozen=True, eq=False)
class Within:
    """A model in this process. held_bytes is the size of its files, about what it takes."""

    model: Model
    trouble: str = ""

    @property
    def version(self) -> str:
        """The bundle's version."""
        return self.model.version

    @property
    def held_bytes(self) -> int:
        """Bytes of its files."""
        return self.model.weight

    def detect(self, asks: Sequence[Ask]) -> list[Answered | FunctionError]:
        """Answer a batch; raises ModelError when the model fails."""
        least = min(
            min(thresholds(ask.entry, self.model, ask.asked).values(), default=0.0) for ask in asks
        )
        found = detect(self.model, [ask.image for ask in asks], min_score=least)
        answers: list[Answered | FunctionError] = []
        for ask, one in zip(asks, found, strict=True):
            maskless: list[int] = []
            try:
                items = shown(
                    ask.entry,
                    self.model,
                    one,
                    image=ask.image,
                    asked=ask.asked,
                    maskless=maskless.append,
                )
                answers.append(Answered(as_json(items), sum(maskless)))
            except FunctionError as error:
                answers.append(error)
        return answers

    def interact(
        self, entry: Entry, request: InteractorRequest, *, user_agent: str | None
    ) -> Answered:
        """Answer the clicks on one image."""
        return Answered(
            as_json(answer_interactor(entry, self.model, request, user_agent=user_agent))
        )


def as_json(content: object) -> bytes:
    """Return an answer as CVAT reads it; NaN is no JSON, so it raises ValueError for it."""
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
