"""What forms and scripts ask for on *Train*, *Models* and *Run a model*: each field once."""

from __future__ import annotations

from typing import Annotated

from fastapi import Form, Query
from pydantic import BaseModel, ConfigDict, Field


class RunView(BaseModel):
    """Which model looks at which task. map: "class=label" each, "class=" leaves one out.

    start: place of the first frame shown among those that may be annotated.
    """

    model: str = ""
    task: int = 0
    start: int = 0
    threshold: float | None = None
    map: list[str] = Field(default_factory=list)


class FrameView(RunView):
    """One frame of the task."""

    frame: int


class AskedTake(BaseModel):
    """An object of a frame to take: candidate is its key; without one, all from threshold on."""

    model_config = ConfigDict(extra="forbid")

    model: str
    task: int
    frame: int
    threshold: float = 0.5
    candidate: str = ""
    map: list[str] = Field(default_factory=list)


class TakeForm(AskedTake):
    """The same from a form."""

    model_config = ConfigDict(extra="ignore")

    csrf: str = ""


class AskedWhole(BaseModel):
    """A task, or with task 0 the whole project, to annotate.

    key: 32 hex digits of your own; the same key is the same work. only_empty: frames without any
    object alone.
    """

    model_config = ConfigDict(extra="forbid")

    key: str = Field(pattern="^[0-9a-f]{32}$")
    model: str
    task: int
    threshold: float
    only_empty: bool = False
    map: list[str] = Field(default_factory=list)


class WholeForm(AskedWhole):
    """The same from a form."""

    model_config = ConfigDict(extra="ignore")

    csrf: str = ""


RunQuery = Annotated[RunView, Query()]
FrameQuery = Annotated[FrameView, Query()]
TakeFilled = Annotated[TakeForm, Form()]
WholeFilled = Annotated[WholeForm, Form()]


class AskedFit(BaseModel):
    """A training to begin.

    key: 32 hex digits of your own. base: "features", "scratch" or "<key>@<number>". train_*: what
    to learn from, all finished jobs where none is named; test_*: what to test on; share: of the
    frames, held out where no test part is named (None: what the project holds out). fit: a setting
    of `trainer fit` → its value as text.
    """

    model_config = ConfigDict(extra="forbid")

    key: str = Field(pattern="^[0-9a-f]{32}$")
    name: str
    task: str = ""
    base: str = "features"
    device: str = ""
    train_tasks: list[int] = Field(default_factory=list)
    train_subsets: list[str] = Field(default_factory=list)
    train_jobs: list[int] = Field(default_factory=list)
    test_tasks: list[int] = Field(default_factory=list)
    test_subsets: list[str] = Field(default_factory=list)
    test_jobs: list[int] = Field(default_factory=list)
    share: float | None = None
    fit: dict[str, str] = Field(default_factory=dict)


class AskedChange(BaseModel):
    """A version to promote, or without a number the way back to the one before. why: in words."""

    model_config = ConfigDict(extra="forbid")

    key: str
    number: str = ""
    why: str = Field("", max_length=200)


class AskedComparison(BaseModel):
    """Two models to compare, by their references. tests: a snapshot's fingerprint, "" the newest.

    key: 32 hex digits of your own; the same key is the same comparison.
    """

    model_config = ConfigDict(extra="forbid")

    key: str = Field(pattern="^[0-9a-f]{32}$")
    first: str
    second: str
    tests: str = ""
