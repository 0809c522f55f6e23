"""Which frames a round takes: the pool as active_learning wants it, its choice as we record it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from active_learning.choose import choose
from active_learning.pool import FloatArray, ProjectState, Selection
from active_learning.strategies import reads_disagreement
from cvat_bridge.errors import LabelMismatchError, NothingToDoError
from cvat_bridge.frames.origins import image_groups, origins
from cvat_bridge.frames.pool_reading import read_pool
from cvat_bridge.frames.prediction_blocks import prediction_blocks
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import FrameFacts, SelectedFrame, frame_key, split_key
from cvat_bridge.loop.predict import Predicted
from cvat_bridge.project.facts import Facts, PoolFrame
from cvat_bridge.settings import RoundSettings


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
    frames, shas, groups = _distinct(ledger, facts, predicted, settings)
    if not frames:
        raise NothingToDoError(
            f"no frame is left to choose: the pool has {len(facts.pool)} frames, "
            f"{len(predicted.skipped)} broken, the others are images that people have already"
        )
    labelled = [frame_key(job.task_id, f) for job in facts.jobs for f in job.frames]
    images = [row.sha256 for row in ledger.frames_of(labelled).values()]
    with PredictionStore(home.predictions, predicted.embeddings) as store:
        seen = _known_embeddings(store, images)
    with PredictionStore(home.predictions, predicted.model or predicted.embeddings) as store:
        names = store.labels
    if state.class_names not in ((), names):
        raise LabelMismatchError(state.class_names, names, "The state is of another model.")
    pool = read_pool(
        home.predictions,
        [frame.key for frame in frames],
        shas,
        groups=groups,
        model=predicted.model,
        embeddings=predicted.embeddings,
        disagreement=reads_disagreement(settings.selection.strategy),
    )
    selection = choose(
        pool,
        budget=settings.budget,
        seed=settings.seed + number,
        state=replace(state, class_names=names, labelled_embeddings=seen),
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


def _distinct(
    ledger: Ledger, facts: Facts, predicted: Predicted, settings: RoundSettings
) -> tuple[tuple[PoolFrame, ...], list[str], list[str]]:
    """Return the frames that may be chosen, the image and the group of each."""
    known = ledger.frames()
    groups = image_groups(
        known.values(),
        media=facts.media,
        origin=origins(ledger.provenance()),
        segment=settings.video_segment,
        within=settings.duplicate_distance,
    )
    frames = distinct_frames(predicted.frames, known, groups, ledger, facts)
    shas = [known[frame.key].sha256 for frame in frames]
    return frames, shas, [groups[sha256] for sha256 in shas]


def _known_embeddings(store: PredictionStore, images: Sequence[str]) -> FloatArray | None:
    known = store.known_among(images)
    unique = [sha256 for sha256 in dict.fromkeys(images) if sha256 in known]
    blocks = [block.embeddings for block in prediction_blocks(store, unique)]
    vectors = [rows for rows in blocks if rows is not None]
    return np.concatenate(vectors) if vectors and len(vectors) == len(blocks) else None


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
