"""From frames with truth and answers to a record: tables in files, a row in the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import structlog
from numpy.typing import NDArray

from cvat_bridge.evaluations.appearance import (
    OBJECTS,
    TRUTH,
    AppearanceStore,
    BoxFeatures,
    FrameFeatures,
)
from cvat_bridge.evaluations.clusters import clusters_of
from cvat_bridge.evaluations.columns import crops_of, cuts_of, frame_columns, tables_of, unmatched
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, Source
from cvat_bridge.evaluations.matching import FrameMatches, match_boxes
from cvat_bridge.evaluations.table import CropTable, EvaluationTable, unpacked, write_table
from cvat_bridge.evaluations.thresholds import best_threshold
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement
from trainer.data.images import RGBImage
from trainer.errors import TrainerError

LEAST_SCORE = 0.05  # answers below are not kept
log = structlog.get_logger("round")


def record(
    home: Home,
    ledger: Ledger,
    frames: Iterable[EvaluatedFrame],
    *,
    model: str,
    source: Source,
    number: int,
    classes: Sequence[str],
    names: Sequence[str],
    appearance: AppearanceStore,
    threshold: float | None,
    now: str,
) -> Judgement | None:
    """Record the matches of a model on a source in the place of earlier ones; None for no frame.

    classes: the names that can be marked. names: those that the answers' class_ids point into;
    answers of a class that nobody can mark are not judged. threshold: the score from which the
    model's answers count, None for where F1 is best on these frames. A frame whose pixels cannot
    be read is judged and not looked at. Raises LedgerError.
    """
    kept = list(frames)
    if not kept:
        return None
    evaluated, crops = evaluate_frames(
        kept, model=model, classes=classes, names=names, appearance=appearance
    )
    row = Judgement(
        model=model,
        source=source,
        round=number,
        frames=len(evaluated.frames),
        objects=len(evaluated.objects),
        answers=len(evaluated.answers),
        threshold=best_threshold(evaluated) if threshold is None else threshold,
        file=write_table(home.judged, evaluated),
        crops=write_table(home.judged, crops),
        recorded=now,
    )
    ledger.save_judgement(row)
    return row


def evaluate_frames(
    frames: Sequence[EvaluatedFrame],
    *,
    model: str,
    classes: Sequence[str],
    names: Sequence[str],
    appearance: AppearanceStore,
) -> tuple[EvaluationTable, CropTable]:
    """Match every frame and measure what is in it; see record."""
    place = {name: n for n, name in enumerate(classes)}
    of_model = np.array([place.get(name, -1) for name in names] or [-1], np.int64)
    matched = [_match(frame, place, of_model) for frame in frames]
    seen, pictures = _seen(frames, matched, model, appearance)
    subsets = tuple(sorted({frame.where.subset for frame in frames}))
    columns = frame_columns([f.where for f in frames], seen, subsets)
    blank = np.zeros(appearance.embedder.width, np.int8)
    vectors = np.stack([seen[i].vector if (i := f.where.image) in seen else blank for f in frames])
    centres, cluster = clusters_of(unpacked(vectors))
    columns = replace(columns, cluster=cluster)
    objects, answers = tables_of(frames, matched, place)
    return (
        EvaluationTable(
            classes=tuple(classes),
            subsets=subsets,
            embedder=appearance.embedder.name,
            cuts=cuts_of(columns, objects),
            centres=centres,
            vectors=vectors,
            frames=columns,
            objects=objects,
            answers=answers,
        ),
        crops_of(frames, matched, pictures),
    )


def _match(
    frame: EvaluatedFrame, place: Mapping[str, int], of_model: NDArray[np.int64]
) -> FrameMatches:
    found = frame.found
    ids = of_model[found.class_ids]
    kept = (ids >= 0) & (found.scores >= LEAST_SCORE)
    truth_ids = np.array([place[name] for name in frame.labels], np.int64)
    return match_boxes(
        np.asarray(frame.boxes, float).reshape(-1, 4),
        truth_ids,
        np.asarray(frame.crowd, float).reshape(-1, 4),
        found.boxes[kept],
        ids[kept],
        found.scores[kept],
    )


def _seen(
    frames: Sequence[EvaluatedFrame],
    matched: Sequence[FrameMatches],
    model: str,
    appearance: AppearanceStore,
) -> tuple[dict[str, FrameFeatures], list[tuple[BoxFeatures, BoxFeatures]]]:
    """Return how frames look and the pictures of their objects and wrong answers."""
    images = [frame.where.image for frame in frames]
    known, wrong_of = appearance.looks(images), f"{model} wrong"
    held = {name: appearance.boxes(name, images) for name in (TRUTH, wrong_of)}
    pictures = []
    for frame, one in zip(frames, matched, strict=True):
        image = frame.where.image
        boxes_of = {
            TRUTH: frame.boxes[:OBJECTS].astype(np.float32).reshape(-1, 4),
            wrong_of: one.boxes[unmatched(one)].astype(np.float32),
        }
        old = {
            name: there
            for name, boxes in boxes_of.items()
            if (there := held[name].get(image)) is not None and np.array_equal(there.boxes, boxes)
        }
        pixels = None if len(old) == len(boxes_of) and image in known else _pixels(frame)
        for name in set(boxes_of) - set(old):
            if pixels is None:  # it could not be read: of its boxes nothing is seen
                blank = np.zeros((len(boxes_of[name]), appearance.embedder.width), np.int8)
                old[name] = BoxFeatures(boxes_of[name], blank)
            else:
                old[name] = appearance.pictures(pixels, boxes_of[name])
                appearance.see(name, {image: pixels}, {image: old[name]})
        if image not in known and pixels is not None:
            appearance.see(TRUTH, {image: pixels}, {})
        pictures.append((old[TRUTH], old[wrong_of]))
    return appearance.looks(images), pictures


def _pixels(frame: EvaluatedFrame) -> RGBImage | None:
    """Read a frame; one that no longer decodes is judged all the same, but not looked at."""
    try:
        return frame.pixels()
    except (TrainerError, OSError) as error:
        log.warning("a judged frame cannot be read", image=frame.where.image, why=str(error))
        return None
