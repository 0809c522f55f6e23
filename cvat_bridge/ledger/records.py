"""The rows of the ledger, as frozen values. Field order is column order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["train", "holdout"]
CorrectionOutcome = Literal["kept", "nudged", "relabelled", "redrawn", "deleted", "added"]


def frame_key(task_id: int, frame: int) -> str:
    """Name a frame: "<task>/<task-relative number>"."""
    return f"{task_id}/{frame}"


def split_key(key: str) -> tuple[int, int]:
    """Read a frame's key back into task and frame number."""
    task, _, frame = key.partition("/")
    return int(task), int(frame)


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """What a frame's file is. problem is "" for a good image, else why it cannot be used.

    suffix: of the file under images/, with its dot. perceptual: 64 hex digits of the difference
    hash. width, height: upright, in pixels; 0 for a broken file.
    """

    key: str
    task_id: int
    frame: int
    sha256: str
    suffix: str
    width: int
    height: int
    perceptual: str
    problem: str = ""


@dataclass(frozen=True)
class UsedJob:
    """A job as a snapshot used it."""

    job_id: int
    updated_date: str
    state: str
    fingerprint: str


@dataclass(frozen=True)
class JobLook:
    """Whether a job of this date held objects of people."""

    job_id: int
    updated_date: str
    touched: bool


@dataclass(frozen=True)
class KnownLabel:
    """A label of the project as it was at the last pull."""

    label_id: int
    name: str
    type: str


@dataclass(frozen=True)
class SelectedFrame:
    """A frame that a round chose; rank 1 is worth most.

    score: the strategy's value, None where it gives none. arm: "strategy" or "control". weight:
    inverse inclusion probability, None outside the control arm.
    """

    rank: int
    task_id: int
    frame: int
    score: float | None
    arm: str
    reason: str
    weight: float | None = None

    @property
    def key(self) -> str:
        """The frame's key."""
        return frame_key(self.task_id, self.frame)


@dataclass(frozen=True)
class RankedJob:
    """A job in rank order. frames: task-relative numbers; scores: theirs, in the same order."""

    rank: int
    job_id: int
    task_id: int
    frames: tuple[int, ...]
    scores: tuple[float | None, ...]
    reason: str


@dataclass(frozen=True)
class Provenance:
    """A copy in a round's task and the frame it was made of; see SelectedFrame."""

    task_id: int
    frame: int
    source_task: int
    source_frame: int
    round: int
    rank: int
    score: float | None
    arm: str
    reason: str
    weight: float | None = None


@dataclass(frozen=True)
class Proposal:
    """A pre-annotation. shape_id is CVAT's, or None while the write is not confirmed."""

    round: int
    job_id: int
    frame: int
    place: int
    label_id: int
    label: str
    shape_type: str
    points: tuple[float, ...]
    score: float
    model: str
    shape_id: int | None = None
    source: str = "auto"


@dataclass(frozen=True)
class PreAnnotatedJob:
    """A job that a round is done with. problem: why it was left alone, "" when it was not."""

    job_id: int
    round: int
    model: str
    problem: str = ""


@dataclass(frozen=True)
class AnnotatedFrame:
    """A frame of a job that `annotate` is done with, for one model.

    reach: "<label id>:<class>" → the score from which such objects were written. objects: how
    many were. pending: shapes that are on their way; empty once CVAT is known to hold them.
    """

    job_id: int
    frame: int
    model: str
    reach: Mapping[str, float]
    objects: int
    pending: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Correction:
    """What people did to one proposal, or one object they added (proposed_label "").

    iou: of the proposal's box and the final one, None when one of them is missing.
    """

    round: int
    job_id: int
    frame: int
    place: int
    outcome: CorrectionOutcome
    proposed_label: str
    final_label: str
    iou: float | None
    score: float | None
    model: str


@dataclass(frozen=True)
class Round:
    """Where a round stands. Times are ISO 8601, "" while there is none."""

    number: int
    project_id: int
    state: str
    waits_for: str = ""
    started: str = ""
    ended: str = ""
    decision: str = ""
    reasons: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """Which model serves after a round. champion is "" when there was none."""

    round: int
    champion: str
    challenger: str
    promoted: bool
    reasons: tuple[str, ...]
    figures: Mapping[str, Any]
    decided: str


@dataclass(frozen=True)
class Membership:
    """On which side of the holdout an image stands, since when and by which rule."""

    sha256: str
    role: Role
    group: str
    rule: str
    since: str


@dataclass(frozen=True)
class Judgement:
    """The matches of a model on one source of labelled frames; see cvat_bridge/evaluations.

    file, crops: names of the tables in the home's folder `judged`; crops is "" where there are
    none. threshold: the score from which the model's answers count unless another is asked for.
    round: 0 outside of rounds.
    """

    model: str
    source: str
    round: int
    frames: int
    objects: int
    answers: int
    threshold: float
    file: str
    crops: str
    recorded: str


@dataclass(frozen=True)
class PoolRecord:
    """What a model saw in the pool, as the last round left it; file, crops: see Judgement."""

    model: str
    round: int
    frames: int
    file: str
    crops: str
    recorded: str


@dataclass(frozen=True)
class Request:
    """A task that a person asked for. key: made with the form, so that pressing twice is once.

    number: 1, 2, …; its frames, jobs and proposals stand under round -number. who: name in CVAT.
    source: where the wish came from, for people. request: the whole wish. task_id: None until the
    task is there. done: when all was written, "" before; outcome: what came of it.
    """

    key: str
    number: int
    who: str
    name: str
    source: str
    model: str
    asked: str
    request: Mapping[str, Any]
    task_id: int | None = None
    done: str = ""
    outcome: Mapping[str, Any] = field(default_factory=dict)

    @property
    def round(self) -> int:
        """The number under which selections, jobs, provenance and proposals are kept."""
        return -self.number
