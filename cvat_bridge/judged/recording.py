"""From frames with truth and answers to a record: tables in files, a row in the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.home import Home
from cvat_bridge.judged.attributes import BOX_COLUMNS, box_attributes
from cvat_bridge.judged.clusters import clusters_of
from cvat_bridge.judged.judgements import Source
from cvat_bridge.judged.looks import CANDIDATES, OBJECTS, TRUTH, Boxes, LookStore, Pictured
from cvat_bridge.judged.matching import Matched, match_boxes
from cvat_bridge.judged.table import (
    AnswerColumns,
    Crops,
    FrameColumns,
    Judged,
    ObjectColumns,
    unpacked,
    write_table,
)
from cvat_bridge.judged.thresholds import best_threshold
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement
from trainer.data.images import RGBImage
from trainer.detections import Detections

LEAST_SCORE = 0.05  # answers below are not kept
_NO_LOOK = (np.nan, np.nan, np.nan)


@dataclass(frozen=True, eq=False)
class Where:
    """A frame in CVAT and its file. group: what near-duplicates and parts of a video share."""

    task: int
    frame: int
    job: int
    image: str
    suffix: str
    width: int
    height: int
    subset: str = ""
    group: str = ""


@dataclass(frozen=True, eq=False)
class JudgedFrame:
    """A frame with known labels and what a model said of it.

    boxes: (N, 4) of what people marked, labels: their names, crowd: (K, 4) regions whose objects
    nobody counted. pixels: reads the frame, upright; asked only where it was not seen before.
    """

    where: Where
    boxes: NDArray[np.floating]
    labels: tuple[str, ...]
    crowd: NDArray[np.floating]
    found: Detections
    pixels: Callable[[], RGBImage]


def record(
    home: Home,
    ledger: Ledger,
    frames: Iterable[JudgedFrame],
    *,
    model: str,
    source: Source,
    number: int,
    classes: Sequence[str],
    names: Sequence[str],
    looks: LookStore,
    threshold: float | None,
    now: str,
) -> Judgement | None:
    """Record the matches of a model on a source in the place of earlier ones; None for no frame.

    classes: the names that can be marked. names: those that the answers' class_ids point into;
    answers of a class that nobody can mark are not judged. threshold: the score from which the
    model's answers count, None for where F1 is best on these frames. Raises LedgerError, and what
    `pixels` raises.
    """
    kept = list(frames)
    if not kept:
        return None
    judged, crops = judge(kept, model=model, classes=classes, names=names, looks=looks)
    row = Judgement(
        model=model,
        source=source,
        round=number,
        frames=len(judged.frames),
        objects=len(judged.objects),
        answers=len(judged.answers),
        threshold=best_threshold(judged) if threshold is None else threshold,
        file=write_table(home.judged, judged),
        crops=write_table(home.judged, crops),
        recorded=now,
    )
    ledger.save_judgement(row)
    return row


def judge(
    frames: Sequence[JudgedFrame],
    *,
    model: str,
    classes: Sequence[str],
    names: Sequence[str],
    looks: LookStore,
) -> tuple[Judged, Crops]:
    """Match every frame and measure what is in it; see record."""
    place = {name: n for n, name in enumerate(classes)}
    of_model = np.array([place.get(name, -1) for name in names] or [-1], np.int64)
    matched = [_match(frame, place, of_model) for frame in frames]
    seen, pictures = _seen(frames, matched, model, looks)
    subsets = tuple(sorted({frame.where.subset for frame in frames}))
    columns = frame_columns([f.where for f in frames], seen, subsets)
    vectors = np.stack([seen[f.where.image].vector for f in frames])
    centres, cluster = clusters_of(unpacked(vectors))
    columns = replace(columns, cluster=cluster)
    objects, answers = _tables(frames, matched, place)
    return (
        Judged(
            classes=tuple(classes),
            subsets=subsets,
            embedder=looks.embedder.name,
            cuts=cuts_of(columns, objects),
            centres=centres,
            vectors=vectors,
            frames=columns,
            objects=objects,
            answers=answers,
        ),
        _crops(frames, matched, pictures),
    )


def frame_columns(
    rows: Sequence[Where], seen: Mapping[str, Pictured], subsets: Sequence[str]
) -> FrameColumns:
    """Write where frames lie and how they look as columns; clusters are not filled in (-1)."""
    groups = {name: n for n, name in enumerate(dict.fromkeys(r.group or r.image for r in rows))}
    looks = np.array(
        [
            (one.look.brightness, one.look.contrast, one.look.sharpness)
            if (one := seen.get(row.image))
            else _NO_LOOK
            for row in rows
        ],
        np.float32,
    ).reshape(-1, 3)

    def whole(values: Iterable[int]) -> NDArray[np.int32]:
        return np.array(list(values), np.int32)

    return FrameColumns(
        task=whole(row.task for row in rows),
        frame=whole(row.frame for row in rows),
        job=whole(row.job for row in rows),
        image=np.array([row.image for row in rows], np.str_),
        suffix=np.array([row.suffix for row in rows], np.str_),
        width=whole(row.width for row in rows),
        height=whole(row.height for row in rows),
        subset=whole(subsets.index(row.subset) for row in rows),
        group=whole(groups[row.group or row.image] for row in rows),
        cluster=np.full(len(rows), -1, np.int32),
        brightness=looks[:, 0],
        contrast=looks[:, 1],
        sharpness=looks[:, 2],
    )


def measured(boxes: Sequence[NDArray[np.floating]], rows: Sequence[Where]) -> dict[str, Any]:
    """Measure the boxes of each frame and give them as columns over all frames."""
    each = [
        box_attributes(np.asarray(b, float), w.width, w.height)
        for b, w in zip(boxes, rows, strict=True)
    ]
    table = np.concatenate([np.zeros((0, len(BOX_COLUMNS))), *each]).astype(np.float32)
    return {name: table[:, n] for n, name in enumerate(BOX_COLUMNS)}


def cuts_of(frames: FrameColumns, objects: ObjectColumns) -> dict[str, tuple[float, float]]:
    """Give the values below and above which a quarter lies, of frames and of objects."""
    found = {}
    for name, table in (
        *((n, frames) for n in ("brightness", "contrast", "sharpness")),
        ("size", objects),
    ):
        values = getattr(table, name)
        known = values[np.isfinite(values)]
        if len(known):
            low, high = np.quantile(known, [0.25, 0.75])
            found[name] = (float(low), float(high))
    return found


def _match(frame: JudgedFrame, place: Mapping[str, int], of_model: NDArray[np.int64]) -> Matched:
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


def _unmatched(one: Matched) -> NDArray[np.int64]:
    """Give the best answers that are not right: their pictures are kept."""
    return np.flatnonzero(one.right < 0)[:CANDIDATES]


def _seen(
    frames: Sequence[JudgedFrame], matched: Sequence[Matched], model: str, looks: LookStore
) -> tuple[dict[str, Pictured], list[tuple[Boxes, Boxes]]]:
    """Give how frames look and the pictures of their objects and wrong answers."""
    images = [frame.where.image for frame in frames]
    known, wrong_of = looks.looks(images), f"{model} wrong"
    held = {name: looks.boxes(name, images) for name in (TRUTH, wrong_of)}
    pictures = []
    for frame, one in zip(frames, matched, strict=True):
        image = frame.where.image
        wanted = {
            TRUTH: frame.boxes[:OBJECTS].astype(np.float32).reshape(-1, 4),
            wrong_of: one.boxes[_unmatched(one)].astype(np.float32),
        }
        old = {
            name: there
            for name, boxes in wanted.items()
            if (there := held[name].get(image)) is not None and np.array_equal(there.boxes, boxes)
        }
        pixels = None if len(old) == len(wanted) and image in known else frame.pixels()
        if pixels is not None:
            for name in set(wanted) - set(old):
                old[name] = looks.pictures(pixels, wanted[name])
                looks.see(name, {image: pixels}, {image: old[name]})
            if image not in known:
                looks.see(TRUTH, {image: pixels}, {})
        pictures.append((old[TRUTH], old[wrong_of]))
    return looks.looks(images), pictures


def _tables(
    frames: Sequence[JudgedFrame], matched: Sequence[Matched], place: Mapping[str, int]
) -> tuple[ObjectColumns, AnswerColumns]:
    rows = [frame.where for frame in frames]
    boxes = [np.asarray(f.boxes, np.float32).reshape(-1, 4) for f in frames]
    answer_start = np.cumsum([0, *(len(one.scores) for one in matched)])
    object_start = np.cumsum([0, *(len(one) for one in boxes)])

    def joined(columns: Iterable[NDArray[np.generic]], kind: type, width: int = 0) -> NDArray:  # type: ignore[type-arg]  # one of two kinds
        empty = np.zeros((0, width) if width else 0)
        return np.concatenate([empty, *columns]).astype(kind)

    def moved(name: str, starts: NDArray[np.int64]) -> NDArray[np.int32]:
        return joined(
            (
                np.where(getattr(one, name) >= 0, getattr(one, name) + start, -1)
                for one, start in zip(matched, starts[:-1].tolist(), strict=True)
            ),
            np.int32,
        )

    marked = ObjectColumns(
        frame=np.repeat(np.arange(len(frames)), np.diff(object_start)).astype(np.int32),
        class_id=np.array([place[n] for f in frames for n in f.labels], np.int32),
        box=joined(boxes, np.float32, 4),
        **measured(boxes, rows),
        found=moved("found", answer_start),
        other=moved("other", answer_start),
        loose=moved("loose", answer_start),
    )
    answers = AnswerColumns(
        frame=np.repeat(np.arange(len(frames)), np.diff(answer_start)).astype(np.int32),
        class_id=joined((one.class_ids for one in matched), np.int32),
        box=joined((one.boxes for one in matched), np.float32, 4),
        **measured([one.boxes for one in matched], rows),
        score=joined((one.scores for one in matched), np.float32),
        iou=joined((one.iou for one in matched), np.float32),
        right=moved("right", object_start),
        wrong=moved("wrong", object_start),
        near=moved("near", object_start),
    )
    return marked, answers


def _crops(
    frames: Sequence[JudgedFrame],
    matched: Sequence[Matched],
    pictures: Sequence[tuple[Boxes, Boxes]],
) -> Crops:
    objects, answers, object_rows, answer_rows = [], [], [], []
    object_start = answer_start = 0
    for frame, one, (truth, wrong) in zip(frames, matched, pictures, strict=True):
        object_rows.append(np.arange(len(truth.boxes)) + object_start)
        answer_rows.append(_unmatched(one)[: len(wrong.boxes)] + answer_start)
        objects.append(truth.vectors)
        answers.append(wrong.vectors)
        object_start += len(frame.labels)
        answer_start += len(one.scores)
    return Crops(
        rows=np.concatenate([*object_rows, *answer_rows]).astype(np.int32),
        vectors=np.concatenate([*objects, *answers]),
        objects=int(sum(map(len, object_rows))),
    )
