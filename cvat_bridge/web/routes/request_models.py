"""What an address, a form or a JSON body asks for: each field and its default, written once."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Form, Query
from pydantic import BaseModel, ConfigDict, Field

from cvat_bridge.blindspots.types import TaskRequest
from cvat_bridge.web.page import RefusedError
from cvat_bridge.web.visits import Visit

MOST = 500  # frames that one search gives
_FRAME = re.compile(r"\d{1,12}/\d{1,9}")


class View(BaseModel):
    """At which model, source and confidence to look; see screens.looking."""

    model: str = ""
    source: str = ""
    threshold: float | None = None


class FailuresOf(View):
    """The failures of a slice (where) or of a cell of the matrix (truth and answer)."""

    where: str = ""
    truth: str | None = None
    answer: str | None = None
    start: int = 0


class SimilarTo(View):
    """How many frames like the failures of a slice, or like those that are chosen."""

    where: str = ""
    count: int = 50
    chosen: list[str] = Field(default_factory=list)


class AskedTask(BaseModel):
    """A task to make of pool frames.

    key: 32 hex digits of your own; the same key makes one task. frames: "<task>/<number>" in rank
    order, with "!" behind those that chance drew. where: key of the slice they are for. job_size:
    as in the rounds unless given.
    """

    model_config = ConfigDict(extra="forbid")

    key: str
    name: str
    frames: list[str]
    model: str = ""
    where: str = ""
    job_size: int | None = None
    assignees: list[str] = Field(default_factory=list)
    prelabel: bool = True


class TaskForm(AskedTask):
    """The same from a form, which leaves out what is empty or not ticked."""

    model_config = ConfigDict(extra="ignore")

    name: str = ""
    frames: list[str] = Field(default_factory=list)
    prelabel: bool = False
    csrf: str = ""


ViewQuery = Annotated[View, Query()]
FailuresQuery = Annotated[FailuresOf, Query()]
SimilarQuery = Annotated[SimilarTo, Query()]
FilledForm = Annotated[TaskForm, Form()]


def no_such_part(error: ValueError) -> RefusedError:
    """Return what a person reads where an address names a slice or class that is not there."""
    return RefusedError(
        404,
        f"There is no such part of the failures: {error}.",
        "A class may have been renamed since. Begin from the blind spots again.",
    )


def request_of(found: Visit, asked: AskedTask) -> TaskRequest:
    """Return the task that a person asks for; RefusedError names every fault."""
    keys = [frame.rstrip("!") for frame in asked.frames]
    size = found.site.config.rounds.job_size if asked.job_size is None else asked.job_size
    faults = []
    if not re.fullmatch(r"[0-9a-f]{32}", asked.key):
        faults.append("the form's key is not ours")
    if not keys:
        faults.append("no frame is chosen")
    if len(keys) > MOST or not all(_FRAME.fullmatch(one) for one in keys):
        faults.append(f"frames are at most {MOST}, each a task and a number")
    if not 1 <= size <= 1000:
        faults.append("a job has between 1 and 1,000 frames")
    if not asked.name.strip() or len(asked.name) > 200:
        faults.append("the name has between 1 and 200 letters")
    if faults:
        raise RefusedError(422, f"Nothing was done: {'; '.join(faults)}.", "Go back and mend it.")
    return TaskRequest(
        key=asked.key,
        name=" ".join(asked.name.split()),
        frames=tuple(dict.fromkeys(keys)),
        who=found.session.person.username,
        where=asked.where[:300],
        model=asked.model[:100],
        controls=frozenset(one.rstrip("!") for one in asked.frames if one.endswith("!")),
        job_size=size,
        assignees=tuple(asked.assignees),
        prelabel=asked.prelabel,
    )
