"""Which frames a round takes: the pool as active_learning wants it, its choice as we record it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from active_learning.choose import choose
from active_learning.measures.disagreement import between_passes
from active_learning.pool import FloatArray, Objects, Pool, ProjectState, Selection
from active_learning.strategies import reads_disagreement
from cvat_bridge.errors import LabelMismatchError, NothingToDoError
from cvat_bridge.frames.mirrored import mirrored
from cvat_bridge.frames.origins import image_groups, origins
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, SelectedFrame, frame_key, split_key
from cvat_bridge.loop.predict import Predicted
from cvat_bridge.project.facts import Facts, PoolFrame
from cvat_bridge.settings import RoundSettings
from trainer.detections import Detections


@dataclass(frozen=True)
class ChosenFrames:
    """A round's choice, best first.

    duplicates: frames of the pool left out because people have their image already, or because
    they belong with a holdout image.
    """

    frames: tuple[SelectedFrame, ...]
    strategy: str
    phase: str
    advice: str
    notes: Mapping[str, str] = field(default_factory=dict)
    duplicates: int = 0


def choose_frames(
    ledger: Ledger,
    facts: Facts,
    predicted: Predicted,
    *,
    number: int,
    home: Home,
    settings: RoundSettings,
    state: ProjectState,
    record: bool = True,
) -> ChosenFrames:
    """Choose the frames of round `number` and record them (record False: only look).

    A round that has chosen already gives its recorded frames. state.labelled_embeddings is
    filled from what the model said about the labelled images. Raises NothingToDoError when no
    frame is left to choose, LabelMismatchError when the state is about other classes than the
    predictions, and what active_learning raises.
    """
    recorded = ledger.selection(number)
    if recorded:
        return ChosenFrames(recorded, **ledger.choice(number))
    known = ledger.frames()
    groups = image_groups(
        known.values(),
        media=facts.media,
        origin=origins(ledger.provenance()),
        segment=settings.video_segment,
        within=settings.duplicate_distance,
    )
    frames = distinct_frames(predicted.frames, known, groups, ledger, facts)
    if not frames:
        raise NothingToDoError(
            f"no frame is left to choose: the pool has {len(facts.pool)} frames, "
            f"{len(predicted.skipped)} broken, the others are images that people have already"
        )
    shas = [known[frame.key].sha256 for frame in frames]
    labelled = [frame_key(job.task_id, f) for job in facts.jobs for f in job.frames]
    with PredictionStore(home.predictions, predicted.embeddings) as store:
        placed = store.get(shas)
        seen = store.get(known[key].sha256 for key in labelled if key in known)
    with PredictionStore(home.predictions, predicted.model or predicted.embeddings) as store:
        found = store.get(shas) if predicted.model else placed
        names = store.labels
    if state.class_names not in ((), names):
        raise LabelMismatchError(state.class_names, names, "The state is of another model.")
    second = None
    if predicted.model and reads_disagreement(settings.selection.strategy):
        with PredictionStore(home.predictions, mirrored(predicted.model)) as store:
            looks = store.get(shas)
        second = [looks[sha256] for sha256 in shas]
    pool = as_pool(
        frames,
        [found[sha256] for sha256 in shas],
        groups=[groups[sha256] for sha256 in shas],
        classes=len(names) if predicted.model else None,
        embeddings=_embeddings([placed[sha256] for sha256 in shas]),
        second=second,
    )
    selection = choose(
        pool,
        budget=settings.budget,
        seed=settings.seed + number,
        state=replace(
            state, class_names=names, labelled_embeddings=_embeddings(list(seen.values()))
        ),
        settings=settings.selection,
    )
    about: dict[str, Any] = {
        "strategy": selection.strategy,
        "phase": selection.phase,
        "advice": selection.advice,
        "notes": _notes(selection, predicted),
        "duplicates": len(predicted.frames) - len(frames),
    }
    chosen = _rows(selection)
    if record:
        ledger.set_selection(number, chosen, about=about)
    return ChosenFrames(chosen, **about)


def distinct_frames(
    frames: Sequence[PoolFrame],
    known: Mapping[str, FrameFacts],
    groups: Mapping[str, str],
    ledger: Ledger,
    facts: Facts,
) -> tuple[PoolFrame, ...]:
    """Leave out frames whose image people have already, and those that go with the holdout.

    People have an image when it is labelled, when a job in work holds it, or when a copy of it
    waits in a round's task. Of two equal images in the pool the first stays.
    """
    members = ledger.memberships()
    held = {groups[sha] for sha, row in members.items() if row.role == "holdout" and sha in groups}
    taken = set(members) | {known[key].sha256 for key in facts.in_work if key in known}
    for row in ledger.provenance():
        source = frame_key(row.source_task, row.source_frame)
        if row.task_id in facts.tasks and source in known:
            taken.add(known[source].sha256)
    kept = []
    for frame in frames:
        sha256 = known[frame.key].sha256
        if sha256 not in taken and groups[sha256] not in held:
            taken.add(sha256)
            kept.append(frame)
    return tuple(kept)


def as_pool(
    frames: Sequence[PoolFrame],
    found: Sequence[Detections],
    *,
    groups: Sequence[str],
    classes: int | None,
    embeddings: FloatArray | None,
    second: Sequence[Detections] | None = None,
) -> Pool:
    """Put frames and what the model said of them into the form that strategies read.

    classes: number of the model's classes; None when no model looked (embeddings alone).
    embeddings: (N, D) of the frames, or None. A model that gives only the winner's score gives it
    in the winner's column. second: what a second look found in each frame, for the strategies that
    read disagreement.
    """
    return Pool(
        ids=np.array([frame.key for frame in frames]),
        embeddings=embeddings,
        groups=np.array(groups),
        objects=None if classes is None else _objects(found, classes, second),
    )


def _objects(
    found: Sequence[Detections], classes: int, second: Sequence[Detections] | None
) -> Objects:
    offsets = np.cumsum([0, *(len(one) for one in found)]).astype(np.int64)
    rows = [_probabilities(one, classes) for one in found]
    return Objects(
        offsets=offsets,
        probabilities=np.concatenate([np.zeros((0, classes), np.float32), *rows]),
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *(one.boxes for one in found)]),
        disagreement=None if second is None else _disagreement(found, second, classes),
        head=found[0].head if found else "sigmoid",
    )


def _disagreement(
    found: Sequence[Detections], second: Sequence[Detections], classes: int
) -> FloatArray:
    each = [
        between_passes(
            one.boxes,
            _probabilities(one, classes),
            [(other.boxes, _probabilities(other, classes))],
            head=one.head,
        )
        for one, other in zip(found, second, strict=True)
    ]
    return np.concatenate([np.zeros(0), *each])


def _probabilities(found: Detections, classes: int) -> FloatArray:
    if found.probabilities is not None and len(found):
        return found.probabilities
    rows = np.zeros((len(found), classes), np.float32)
    rows[np.arange(len(found)), found.class_ids] = found.scores
    return rows


def _embeddings(found: Sequence[Detections]) -> FloatArray | None:
    vectors = [one.embedding for one in found if one.embedding is not None]
    return np.stack(vectors) if vectors and len(vectors) == len(found) else None


def _notes(selection: Selection, predicted: Predicted) -> dict[str, str]:
    return {**selection.notes, **({"embeddings": predicted.why} if predicted.why else {})}


def _rows(selection: Selection) -> tuple[SelectedFrame, ...]:
    return tuple(
        SelectedFrame(
            rank,
            *split_key(str(key)),
            score=_finite(score),
            arm=str(arm),
            reason=reason,
            weight=_finite(weight),
        )
        for rank, (key, score, arm, reason, weight) in enumerate(
            zip(
                selection.ids,
                selection.scores,
                selection.arms,
                selection.reasons,
                selection.weights,
                strict=True,
            ),
            1,
        )
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
