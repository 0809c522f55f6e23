"""What people's work showed, and what they decided on the page. Field order is column order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Arm = Literal["pre-annotated", "control"]


@dataclass(frozen=True)
class JobEffort:
    """What a finished job of a round took.

    arm: whether it went out with the model's objects. model: that pre-annotated it, "" for a
    control job. annotator: user name, "" where nobody is assigned. objects: in it when it was
    finished. worked: seconds by CVAT's analytics. spell: seconds from the end of the annotator's
    job before to the end of this one. None where that is not known. finished: ISO 8601.
    """

    job_id: int
    round: int
    task_id: int
    arm: Arm
    model: str
    annotator: str
    frames: int
    objects: int
    worked: float | None
    spell: float | None
    finished: str


@dataclass(frozen=True)
class ThresholdChoice:
    """A pre-annotation threshold that a person chose for a label.

    number: 1, 2, …, the last one of a label counts. score: None takes the choice back. who: name
    in CVAT. chosen: ISO 8601.
    """

    number: int
    label: str
    score: float | None
    who: str
    chosen: str


@dataclass(frozen=True)
class Review:
    """A finished label that a person sent to review as an issue in CVAT.

    key: of the suspect, which is sent once. suspect: as it was on the list. issue: its id in CVAT,
    None while that is not confirmed. verdict: "" while the issue is open, "mistake" or "right"
    once it is resolved, "gone" where the issue or its job was deleted.
    """

    key: str
    job_id: int
    suspect: Mapping[str, Any]
    who: str
    sent: str
    issue: int | None = None
    verdict: str = ""


@dataclass(frozen=True)
class AssetGroup:
    """A version of a named set of frames; it never changes.

    kind: "snapshot", "holdout", "search", "slice" or "frames". about: where it came from, in words.
    frames: keys, see `frame_key`. images: number of the sha256 of each, "" where it is not known.
    """

    name: str
    version: int
    kind: str
    about: str
    frames: tuple[str, ...]
    images: tuple[str, ...]
    who: str
    made: str
