"""Labels of people that a model disputes, as review work. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from active_learning import mistakes as scoring
from active_learning.measures.boxes import iou
from cvat_bridge.shapes.convert import LabelledObject
from trainer.detections import Detections

_SAME_PLACE = 0.3  # a prediction that overlaps a label this much is about the same object
SURE_FROM = 0.5  # a calibrated score from here on says: likelier right than wrong
_FINDS = 0.5  # share of the labelled objects, below which a model is called weak
_RIGHT_IOU = 0.5


@dataclass(frozen=True, eq=False)
class DisputedFrame:
    """A labelled frame, and what a model says of it that has not learnt from it."""

    job_id: int
    task_id: int
    frame: int
    objects: tuple[LabelledObject, ...]
    found: Detections


@dataclass(frozen=True)
class Suspect:
    """A label to look at again.

    frame: task-relative. kind: overlooked, swapped or badly placed. label: the label that stands
    there, or for an overlooked object the one that the model would give. instead: the label that
    the model would give, of a swapped one. box: x1 y1 x2 y2 in pixels. score: 0..1, the lower the
    likelier a mistake. cvat_id: of the shape, None for an overlooked object. reason: a sentence.
    """

    job_id: int
    task_id: int
    frame: int
    kind: str
    label: str
    instead: str
    box: tuple[float, float, float, float]
    score: float
    cvat_id: int | None
    reason: str

    @property
    def message(self) -> str:
        """What the issue asks. It holds no score, so that another look asks the same question."""
        question = {
            scoring.OVERLOOKED: f"is a {self.label} missing here?",
            scoring.SWAPPED: f"is this {self.label} a {self.instead or 'different class'}?",
            scoring.BADLY_PLACED: f"does this {self.label} fit its object?",
        }[self.kind]
        return f"cvat-bridge: {question} A model that has not learnt from this frame sees it so."

    @property
    def position(self) -> tuple[float, ...]:
        """Where the issue is pinned: x1 y1 x2 y2 in whole pixels."""
        return tuple(float(round(value)) for value in self.box)


def suspects(
    frames: Sequence[DisputedFrame], labels: Sequence[str], *, sure_from: float = SURE_FROM
) -> tuple[Suspect, ...]:
    """Return what the model disputes, the likeliest mistakes first.

    labels: the model's classes, which class_ids point into. Objects without a place (tags) are
    not judged; the objects of all frames must be of these labels, see `known_to`. sure_from:
    predictions from this score speak against a label. Raises ImportError, with what to install,
    where cleanlab is missing.
    """
    place = {name: row for row, name in enumerate(labels)}
    by_id = {f"{one.task_id}/{one.frame}": one for one in frames}
    found = scoring.likely_mistakes(
        [_scored(key, one, place) for key, one in by_id.items()],
        classes=len(labels),
        sure_from=sure_from,
    )
    return tuple(_suspect(by_id[one.frame_id], one, labels, sure_from) for one in found)


def cautions(
    frames: Sequence[DisputedFrame],
    labels: Sequence[str],
    *,
    calibrated: bool,
    sure_from: float = SURE_FROM,
) -> tuple[str, ...]:
    """Return why the model's disputes should be taken with care, a sentence each.

    frames, labels, sure_from: as for `suspects`. calibrated: whether its scores are.
    """
    told = []
    if not calibrated:
        told.append(
            f"The model's scores are not calibrated, so a score of {sure_from:.2f}, from which it "
            "speaks against a label, need not mean that it is likelier right than wrong."
        )
    place = {name: row for row, name in enumerate(labels)}
    found = total = 0
    for one in frames:
        ids = np.array([place[row.label] for row in _placed(one)], np.int64)
        overlap = iou(_boxes(one), one.found.boxes.astype(float))
        sure = one.found.scores >= sure_from
        same = (ids[:, None] == one.found.class_ids[None]) & sure[None]
        found += int(((overlap >= _RIGHT_IOU) & same).any(axis=1).sum())
        total += len(ids)
    if total and found < _FINDS * total:
        told.append(
            f"The model is weak: it surely finds {found} of the {total} labelled objects "
            f"({found / total:.0%}), so many of its doubts will be its own mistakes."
        )
    return tuple(told)


def known_to(labels: Sequence[str], objects: Sequence[LabelledObject]) -> bool:
    """Return whether the model knows every label of a frame; else it would dispute unknown ones."""
    return all(one.label in labels for one in objects if one.box is not None)


def _placed(one: DisputedFrame) -> list[LabelledObject]:
    return [row for row in one.objects if row.box is not None]


def _boxes(one: DisputedFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.array([row.box for row in _placed(one)], float).reshape(-1, 4)


def _scored(key: str, one: DisputedFrame, place: Mapping[str, int]) -> scoring.FrameToCheck:
    return scoring.FrameToCheck(
        id=key,
        boxes=_boxes(one),
        class_ids=np.array([place[row.label] for row in _placed(one)], np.int64),
        predicted_boxes=one.found.boxes.astype(float),
        predicted_ids=one.found.class_ids,
        predicted_scores=one.found.scores.astype(float),
    )


def _suspect(
    one: DisputedFrame, mistake: scoring.Mistake, labels: Sequence[str], sure_from: float
) -> Suspect:
    label, instead = labels[mistake.class_id], ""
    cvat_id = None if mistake.label is None else _placed(one)[mistake.label].cvat_id
    overlap = iou(np.array([mistake.box]), one.found.boxes.astype(float))[0]
    ids, scores = one.found.class_ids, one.found.scores
    if mistake.kind == scoring.OVERLOOKED:
        score = float(scores[np.argmax(np.where(ids == mistake.class_id, overlap, -1))])
        reason = f"the model sees a {label} ({score:.2f}) where nobody marked one"
    elif mistake.kind == scoring.SWAPPED:
        rivals = np.where((ids != mistake.class_id) & (overlap >= _SAME_PLACE), scores, 0.0)
        best = int(np.argmax(rivals))
        instead = labels[int(ids[best])] if rivals[best] >= sure_from else ""
        reason = f"marked {label}; the model sees {instead or 'another class'} in its place" + (
            f" ({rivals[best]:.2f})" if instead else ""
        )
    else:
        own = overlap[(ids == mistake.class_id) & (scores >= sure_from)]
        reason = (
            f"the {label} overlaps the nearest one that the model sees by "
            f"{own.max(initial=0):.2f} of their union"
        )
    return Suspect(
        *(one.job_id, one.task_id, one.frame, mistake.kind, label, instead, mistake.box),
        *(mistake.score, cvat_id, reason),
    )
