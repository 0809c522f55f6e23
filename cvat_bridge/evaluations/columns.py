"""Judged frames and their matches as columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.evaluations.appearance import CANDIDATES, BoxFeatures, FrameFeatures
from cvat_bridge.evaluations.attributes import BOX_COLUMNS, box_attributes
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, FrameLocation
from cvat_bridge.evaluations.matching import FrameMatches
from cvat_bridge.evaluations.table import AnswerColumns, CropTable, FrameColumns, ObjectColumns

T = TypeVar("T", bound=FrameColumns | ObjectColumns | AnswerColumns)
_NO_LOOK = (np.nan, np.nan, np.nan)


def frame_columns(
    rows: Sequence[FrameLocation],
    seen: Mapping[str, FrameFeatures],
    subsets: Sequence[str],
    groups: dict[str, int] | None = None,
) -> FrameColumns:
    """Write where frames lie and how they look as columns; clusters are not filled in (-1).

    groups: numbers of the groups of earlier rows, to which those of these rows are added.
    """
    groups = {} if groups is None else groups
    for row in rows:
        groups.setdefault(row.group or row.image, len(groups))
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


def joined(parts: Sequence[T]) -> T:
    """Put columns one behind the other; a part has at least one."""
    names = [field.name for field in fields(parts[0])]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return type(parts[0])(**columns)


def measured(
    boxes: Sequence[NDArray[np.floating]], rows: Sequence[FrameLocation]
) -> dict[str, Any]:
    """Measure the boxes of each frame and give them as columns over all frames."""
    each = [
        box_attributes(np.asarray(b, float), w.width, w.height)
        for b, w in zip(boxes, rows, strict=True)
    ]
    table = np.concatenate([np.zeros((0, len(BOX_COLUMNS))), *each]).astype(np.float32)
    return {name: table[:, n] for n, name in enumerate(BOX_COLUMNS)}


def cuts_of(frames: FrameColumns, objects: ObjectColumns) -> dict[str, tuple[float, float]]:
    """Return the values below and above which a quarter lies, of frames and of objects."""
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


def unmatched(one: FrameMatches) -> NDArray[np.int64]:
    """Return the best answers that are not right: their pictures are kept."""
    return np.flatnonzero(one.right < 0)[:CANDIDATES]


def tables_of(
    frames: Sequence[EvaluatedFrame], matched: Sequence[FrameMatches], place: Mapping[str, int]
) -> tuple[ObjectColumns, AnswerColumns]:
    """Return the objects and the answers of all frames. place: number of each class by name."""
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


def crops_of(
    frames: Sequence[EvaluatedFrame],
    matched: Sequence[FrameMatches],
    pictures: Sequence[tuple[BoxFeatures, BoxFeatures]],
) -> CropTable:
    """Return the pictures of each frame's objects and of its answers that are not right."""
    objects, answers, object_rows, answer_rows = [], [], [], []
    object_start = answer_start = 0
    for frame, one, (truth, wrong) in zip(frames, matched, pictures, strict=True):
        object_rows.append(np.arange(len(truth.boxes)) + object_start)
        answer_rows.append(unmatched(one)[: len(wrong.boxes)] + answer_start)
        objects.append(truth.vectors)
        answers.append(wrong.vectors)
        object_start += len(frame.labels)
        answer_start += len(one.scores)
    return CropTable(
        rows=np.concatenate([*object_rows, *answer_rows]).astype(np.int32),
        vectors=np.concatenate([*objects, *answers]),
        objects=int(sum(map(len, object_rows))),
    )
