"""What the steps of a round record of models, frames and the pool (see cvat_bridge/evaluations)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.evaluations.evaluated_frames import FrameLocation
from cvat_bridge.evaluations.pools import PoolImage, record_pool
from cvat_bridge.evaluations.rounds import Recorder
from cvat_bridge.frames.origins import image_groups, origins
from cvat_bridge.loop.choosing import distinct_frames
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.predict import Predicted
from cvat_bridge.project.facts import Facts
from trainer.embedding import Descriptor


@contextmanager
def open_appearance(parts: Parts) -> Iterator[AppearanceStore]:
    """Open the appearance store; always one embedder, so that all that is kept is comparable."""
    with AppearanceStore(parts.home.judged, Descriptor()) as appearance:
        yield appearance


def recorder(parts: Parts, number: int, appearance: AppearanceStore) -> Recorder:
    """Return what records the matches of round `number`."""
    return Recorder(parts.home, parts.ledger, appearance, number, parts.now)


def record_the_pool(
    parts: Parts, number: int, facts: Facts, predicted: Predicted, appearance: AppearanceStore
) -> None:
    """Record what the model sees in the frames that a person could be given now.

    Without a model there is nothing to record.
    """
    if predicted.model is None:
        return
    record_pool(
        parts.home,
        parts.ledger,
        _places(parts, facts, predicted),
        model=predicted.model,
        number=number,
        appearance=appearance,
        now=parts.now(),
    )


def _places(parts: Parts, facts: Facts, predicted: Predicted) -> list[PoolImage]:
    """Return where the frames lie that a person could be given, and what goes with them."""
    known = parts.ledger.frames()
    groups = image_groups(
        known.values(),
        media=facts.media,
        origin=origins(parts.ledger.provenance()),
        segment=parts.settings.video_segment,
        within=parts.settings.duplicate_distance,
    )
    places = []
    for frame in distinct_frames(predicted.frames, known, groups, parts.ledger, facts):
        row = known[frame.key]
        where = FrameLocation(
            task=frame.task_id,
            frame=frame.frame,
            job=frame.job_id,
            image=row.sha256,
            suffix=row.suffix,
            width=row.width,
            height=row.height,
            subset=facts.tasks[frame.task_id].subset,
            group=groups[row.sha256],
        )
        places.append(PoolImage(where, row.perceptual))
    return places
