"""What a model sees in the pool, recorded when a round has read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.evaluations.appearance import CANDIDATES, AppearanceStore
from cvat_bridge.evaluations.columns import frame_columns, measured
from cvat_bridge.evaluations.evaluated_frames import FrameLocation
from cvat_bridge.evaluations.recording import LEAST_SCORE
from cvat_bridge.evaluations.table import AnswerColumns, CropTable, PoolTable, prune, write_table
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import PoolRecord
from trainer.detections import Detections

_PIECE = 2000  # frames read from the stores at a time


@dataclass(frozen=True, slots=True)
class PoolImage:
    """A frame of the pool that a person may be given. perceptual: its difference hash."""

    where: FrameLocation
    perceptual: str


def record_pool(
    home: Home,
    ledger: Ledger,
    places: Sequence[PoolImage],
    *,
    model: str,
    number: int,
    appearance: AppearanceStore,
    now: str,
) -> PoolRecord | None:
    """Record what a model sees in these frames, from the stores alone; None for no frame.

    Frames that were read by an earlier version of this program have no look: they take no part in
    what is asked of appearance. Raises LedgerError.
    """
    if not places:
        return None
    seen, crops = _tables(home, places, model, appearance)
    row = PoolRecord(
        model=model,
        round=number,
        frames=len(places),
        file=write_table(home.judged, seen),
        crops=write_table(home.judged, crops),
        recorded=now,
    )
    ledger.save_pool(row)
    kept = [name for one in ledger.judgements() for name in (one.file, one.crops)]
    kept += [name for one in ledger.pools() for name in (one.file, one.crops)]
    prune(home.judged, kept)
    return row


def _tables(
    home: Home, places: Sequence[PoolImage], model: str, appearance: AppearanceStore
) -> tuple[PoolTable, CropTable]:
    rows = [place.where for place in places]
    images = [row.image for row in rows]
    with PredictionStore(home.predictions, model) as store:
        found = _in_pieces(store, images)
        classes = store.labels
    seen = appearance.looks(images)
    kept = [_bounded(found.get(image)) for image in images]
    counts = [len(one.scores) for one in kept]
    starts = np.cumsum([0, *counts])
    subsets = tuple(sorted({row.subset for row in rows}))
    none = np.full(int(starts[-1]), -1, np.int32)
    answers = AnswerColumns(
        frame=np.repeat(np.arange(len(rows)), counts).astype(np.int32),
        class_id=np.concatenate([one.class_ids for one in kept]).astype(np.int32),
        box=np.concatenate([one.boxes for one in kept]).astype(np.float32),
        **measured([one.boxes for one in kept], rows),
        score=np.concatenate([one.scores for one in kept]).astype(np.float32),
        right=none,
        wrong=none,
        near=none,
        iou=np.zeros(len(none), np.float32),
    )
    blank = np.zeros(appearance.embedder.width, np.int8)
    vectors = [seen[image].vector if image in seen else blank for image in images]
    table = PoolTable(
        classes=classes,
        subsets=subsets,
        embedder=appearance.embedder.name,
        frames=frame_columns(rows, seen, subsets),
        perceptual=np.array([place.perceptual for place in places], np.str_),
        vectors=np.stack(vectors),
        answers=answers,
    )
    return table, _crops(appearance, model, images, kept, starts)


def _in_pieces(store: PredictionStore, images: Sequence[str]) -> Mapping[str, Detections]:
    found: dict[str, Detections] = {}
    for start in range(0, len(images), _PIECE):
        piece = store.get(images[start : start + _PIECE])
        found.update({image: _bounded(one) for image, one in piece.items()})
    return found


def _bounded(one: Detections | None) -> Detections:
    """Keep boxes, classes and scores of the answers that are kept in records."""
    if one is None:
        return Detections.empty()
    good = np.flatnonzero(one.scores >= LEAST_SCORE)
    return Detections(one.boxes[good], one.scores[good], one.class_ids[good])


def _crops(
    appearance: AppearanceStore,
    model: str,
    images: Sequence[str],
    kept: Sequence[Detections],
    starts: NDArray[np.int64],
) -> CropTable:
    """Tie the pictures that were kept to the answers: both are the best ones of a frame."""
    pictures = appearance.boxes(model, images)
    rows, vectors = [], []
    for image, one, start in zip(images, kept, starts[:-1].tolist(), strict=True):
        held = pictures.get(image)
        if held is None:
            continue
        count = min(len(held.boxes), len(one.scores), CANDIDATES)
        if np.array_equal(held.boxes[:count], one.boxes[:count].astype(np.float32)):
            rows.append(np.arange(count) + start)
            vectors.append(held.vectors[:count])
    width = appearance.embedder.width
    return CropTable(
        rows=np.concatenate([np.zeros(0, np.int64), *rows]).astype(np.int32),
        vectors=np.concatenate([np.zeros((0, width), np.int8), *vectors]),
        objects=0,
    )
