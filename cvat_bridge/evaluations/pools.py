"""What a model sees in the pool, recorded when a round has read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.evaluations.appearance import CANDIDATES, AppearanceStore
from cvat_bridge.evaluations.columns import frame_columns, joined, measured
from cvat_bridge.evaluations.evaluated_frames import FrameLocation
from cvat_bridge.evaluations.recording import LEAST_SCORE
from cvat_bridge.evaluations.table import (
    AnswerColumns,
    CropTable,
    FrameColumns,
    PoolTable,
    prune,
    write_table,
)
from cvat_bridge.frames.predictions import PredictionStore
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import PoolRecord

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
    piece: int = _PIECE,
) -> PoolRecord | None:
    """Record what a model sees in these frames, from the stores alone; None for no frame.

    piece: frames in memory at a time; the record is the same for any.

    Frames that were read by an earlier version of this program have no look: they take no part in
    what is asked of appearance. Raises LedgerError.
    """
    if not places:
        return None
    seen, crops = _tables(home, places, model, appearance, piece)
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
    home: Home, places: Sequence[PoolImage], model: str, appearance: AppearanceStore, size: int
) -> tuple[PoolTable, CropTable]:
    """Put both together from pieces of the pool, so that no more than one is read at a time."""
    subsets = tuple(sorted({place.where.subset for place in places}))
    groups: dict[str, int] = {}
    with PredictionStore(home.predictions, model) as store:
        classes = store.labels
        pieces = [
            _piece(store, places[start : start + size], model, appearance, subsets, groups, start)
            for start in range(0, len(places), size)
        ]
    counts = np.cumsum([0, *(len(piece.answers) for piece in pieces)]).tolist()
    table = PoolTable(
        classes=classes,
        subsets=subsets,
        embedder=appearance.embedder.name,
        frames=joined([piece.frames for piece in pieces]),
        perceptual=np.array([place.perceptual for place in places], np.str_),
        vectors=np.concatenate([piece.vectors for piece in pieces]),
        answers=joined([piece.answers for piece in pieces]),
    )
    rows = [piece.crop_rows + n for piece, n in zip(pieces, counts, strict=False)]
    crops = CropTable(
        rows=np.concatenate(rows).astype(np.int32),
        vectors=np.concatenate([piece.crop_vectors for piece in pieces]),
        objects=0,
    )
    return table, crops


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some frames, with the pictures of their answers. crop_rows: answers of this piece."""

    frames: FrameColumns
    vectors: NDArray[np.int8]
    answers: AnswerColumns
    crop_rows: NDArray[np.int64]
    crop_vectors: NDArray[np.int8]


def _piece(
    store: PredictionStore,
    places: Sequence[PoolImage],
    model: str,
    appearance: AppearanceStore,
    subsets: Sequence[str],
    groups: dict[str, int],
    first: int,
) -> _Piece:
    """Read a piece. groups: numbers of groups met so far. first: row of its first frame."""
    rows = [place.where for place in places]
    images = [row.image for row in rows]
    found, seen = store.without_masks(images), appearance.looks(images)
    kept = [_bounded(found.get(image)) for image in images]
    counts = [len(one.scores) for one in kept]
    starts = np.cumsum([0, *counts])
    none = np.full(int(starts[-1]), -1, np.int32)
    answers = AnswerColumns(
        frame=np.repeat(np.arange(first, first + len(rows)), counts).astype(np.int32),
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
    crop_rows, crop_vectors = _crops(appearance, model, images, kept, starts)
    return _Piece(
        frames=frame_columns(rows, seen, subsets, groups),
        vectors=np.stack(vectors),
        answers=answers,
        crop_rows=crop_rows,
        crop_vectors=crop_vectors,
    )


@dataclass(frozen=True, eq=False)
class _Answers:
    """The answers of a frame that are kept in records."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def _bounded(row: tuple[Any, ...] | None) -> _Answers:
    """Keep boxes, classes and scores of the answers that are kept in records."""
    _, boxes, scores, class_ids, *_ = row or ("", b"", b"", b"")
    good = np.flatnonzero(np.frombuffer(scores, np.float32) >= LEAST_SCORE)
    return _Answers(
        np.frombuffer(boxes, np.float32).reshape(-1, 4)[good],
        np.frombuffer(scores, np.float32)[good],
        np.frombuffer(class_ids, np.int64)[good],
    )


def _crops(
    appearance: AppearanceStore,
    model: str,
    images: Sequence[str],
    kept: Sequence[_Answers],
    starts: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
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
    return (
        np.concatenate([np.zeros(0, np.int64), *rows]),
        np.concatenate([np.zeros((0, width), np.int8), *vectors]),
    )
