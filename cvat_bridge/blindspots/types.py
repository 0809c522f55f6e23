"""What the screens and commands about blind spots show, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from cvat_bridge.config import RoundSection
from cvat_bridge.evaluations.evaluated_frames import Kind, Source

SliceVerdict = Literal["worse", "not worse", "too few to say"]
Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the upright image


@dataclass(frozen=True)
class RecordedModel:
    """A model version with recorded matches of one source.

    round: in which it was recorded last, 0 outside of rounds. threshold: the score from which its
    objects count where nobody asks for another. recorded: ISO 8601.
    """

    model: str
    source: Source
    round: int
    frames: int
    objects: int
    answers: int
    threshold: float
    recorded: str


@dataclass(frozen=True)
class Share:
    """right of `of`, in 0..1; value is None where `of` is 0.

    low, high: confidence bounds, corrected for the number of slices looked at and for frames
    whose objects fail together (see bounds.py).
    """

    right: int
    of: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Condition:
    """One condition of a slice. attribute, value: as in a slice's key; words: for people."""

    attribute: str
    value: str
    words: str


@dataclass(frozen=True)
class Failure:
    """A place where the model failed, to be shown as a thumbnail.

    image: sha256 of the file in the home's images, suffix its ending. truth, answer: class names,
    "" where there is none. score: of the answer. iou: of both boxes, 0 where one is missing.
    cost: a person's seconds to mend it. job_id: where CVAT's editor opens the frame, 0 if not
    known. number: of the row, which keys it among its kind ("t12": truth 12, "a7": answer 7).
    """

    number: str
    kind: Kind
    task_id: int
    frame: int
    job_id: int
    image: str
    suffix: str
    width: int
    height: int
    truth: str
    answer: str
    truth_box: Box | None
    answer_box: Box | None
    score: float | None
    iou: float
    cost: float
    words: str


@dataclass(frozen=True)
class Slice:
    """A part of the objects that one or two conditions cut out.

    key: "size=small&class=RBC", for addresses; "" is all objects. recall: of the objects in it;
    precision: of the answers in it. rest_*: the same of everything outside. *_verdict: whether it
    is surely lower than the rest. lost: failures beyond what the rest's rate would give, counted
    with the cautious bound. kinds: failures by kind. pool_frames: unlabelled frames that look like
    it, None where the pool was not read by this model.
    """

    key: str
    words: str
    conditions: tuple[Condition, ...]
    objects: int
    answers: int
    frames: int
    recall: Share
    rest_recall: Share
    recall_verdict: SliceVerdict
    precision: Share
    rest_precision: Share
    precision_verdict: SliceVerdict
    lost: float
    kinds: Mapping[Kind, int]
    main_kind: Kind | None
    typical: Failure | None
    pool_frames: int | None


@dataclass(frozen=True)
class Confusion:
    """names: the classes and at the end "" for nothing.

    counts[i][j]: objects of class i (row) answered as j (column); the last row holds answers
    where nothing is, the last column objects that got no answer. left_out: classes that are not
    shown since they are too many; those with most failures are.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class BlindSpots:
    """The page of one model, source and threshold.

    slices: surely worse than the rest, worst first; explained ones are left out. too_few: single
    conditions of which there are too few objects to say anything. looked_at: slices compared, for
    which the bounds are corrected. confidence: 0.95 means that a page without any true blind spot
    shows one in at most 1 of 20 cases. method: how, in a sentence. notes: what a person should
    know, for example that the source is biased.
    """

    model: str
    source: Source
    round: int
    threshold: float
    confidence: float
    frames: int
    objects: int
    answers: int
    recall: Share
    precision: Share
    kinds: Mapping[Kind, int]
    slices: tuple[Slice, ...]
    too_few: tuple[Slice, ...]
    looked_at: int
    confusion: Confusion
    method: str
    notes: tuple[str, ...]
    recorded: str


@dataclass(frozen=True)
class Failures:
    """A part of the failures of a slice or cell, the costliest first. total: before the cut."""

    where: str
    words: str
    total: int
    start: int
    rows: tuple[Failure, ...]


@dataclass(frozen=True)
class SimilarFrame:
    """A frame of the pool. likeness: 0..1 within this answer. arm: "strategy" or "control".

    expected: objects that the model sees in it (sum of its scores). reason: a sentence.
    """

    rank: int
    key: str
    task_id: int
    frame: int
    image: str
    suffix: str
    likeness: float
    arm: Literal["strategy", "control"]
    expected: float
    reason: str


@dataclass(frozen=True)
class Similar:
    """The pool ranked by likeness to failures.

    frames: in the order in which a task would take them, control frames spread among them.
    looked_at: frames of the pool ranked. vetoed: near-duplicates left out. expected_objects,
    expected_minutes: of all frames given. notes: what a person should know.
    """

    model: str
    source: Source
    where: str
    words: str
    threshold: float
    frames: tuple[SimilarFrame, ...]
    looked_at: int
    vetoed: int
    expected_objects: float
    expected_minutes: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class TaskRequest:
    """What a person asks for. key: made once with the form; the same key makes one task.

    frames: keys of pool frames in rank order ("<task>/<frame>"), controls: those of them that
    chance drew. assignees: user ids or names, taken in turn. who: the person's name in CVAT.
    """

    key: str
    name: str
    frames: tuple[str, ...]
    who: str
    where: str
    model: str
    controls: frozenset[str] = frozenset()
    job_size: int = RoundSection.job_size
    assignees: tuple[int | str, ...] = ()
    prelabel: bool = True


@dataclass(frozen=True)
class TaskPreview:
    """What create_task would do now, for the person to confirm.

    frames: that are still free, of those asked for. taken: keys that people have got since.
    sentences: what will be written to CVAT.
    """

    frames: int
    taken: tuple[str, ...]
    jobs: int
    assignees: tuple[str, ...]
    prelabel: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class CreatedTask:
    """A task that a request made. again: it was there already; nothing was made a second time.

    address: of the task in CVAT. proposed: pre-annotations by label. assigned: job → user name.
    notes: jobs that were left alone, frames that people had taken, and why.
    """

    task_id: int
    address: str
    jobs: tuple[int, ...]
    frames: int
    proposed: Mapping[str, int]
    assigned: Mapping[int, str]
    again: bool
    notes: tuple[str, ...] = field(default=())


def to_json(value: Any) -> Any:
    """Return plain JSON values of any of these, sets as sorted lists."""
    found = asdict(value)
    return {k: sorted(v) if isinstance(v, frozenset) else v for k, v in found.items()}
