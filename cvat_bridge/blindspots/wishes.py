"""What is looked for in the pool, and each frame's chance to hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.conditions import read_key
from cvat_bridge.blindspots.failing import FOUND, AtThreshold
from cvat_bridge.blindspots.likeness import REFERENCES, References, best_of, weigh
from cvat_bridge.blindspots.pooling import PoolCodes
from cvat_bridge.blindspots.queries import coded, failing
from cvat_bridge.blindspots.slicing import Where
from cvat_bridge.home import Home
from cvat_bridge.judged.table import Crops, Judged, SeenPool, unpacked

_LOOKED_INTO = 3000  # frames whose boxes' pictures are compared, the likeliest by all else
_GHOST = 4


@dataclass(frozen=True, eq=False)
class Wish:
    """What is looked for. where: conditions; objects, answers: rows of the record that failed.

    failed: (F,) judged frames that hold one of them.
    """

    where: Where
    objects: NDArray[np.int64]
    answers: NDArray[np.int64]
    failed: NDArray[np.bool_]


def wish_of(
    home: Home, judged: Judged, file: str, at: AtThreshold, where: str, chosen: Sequence[str]
) -> Wish:
    """Read what is looked for: the failures of a slice, or single ones by their numbers.

    Raises ValueError for a key or number that is not known.
    """
    known, of_objects, of_answers = coded(home.judged, file)
    if chosen:
        rows: dict[str, list[int]] = {"t": [], "a": []}
        for number in chosen:
            if number[:1] not in rows or not number[1:].isdigit():
                raise ValueError(f"no failure {number!r} in this record")
            rows[number[0]].append(int(number[1:]))
        objects, answers = np.array(rows["t"], np.int64), np.array(rows["a"], np.int64)
        if (objects >= len(judged.objects)).any() or (answers >= len(judged.answers)).any():
            raise ValueError("a chosen failure is not in this record; it is of another one")
        return Wish((), objects, answers, _frames(judged, objects, answers))
    objects, answers = failing(judged, at, known, of_objects, of_answers, where)
    objects = objects[at.of_object[objects] != FOUND]
    answers = answers[at.of_answer[answers] == _GHOST]
    # Ghosts cost little and are many: they are looked for only where nothing else fails.
    answers = answers if not len(objects) else answers[:0]
    return Wish(read_key(known, where), objects, answers, _frames(judged, objects, answers))


def _frames(
    judged: Judged, objects: NDArray[np.int64], answers: NDArray[np.int64]
) -> NDArray[np.bool_]:
    failed = np.zeros(len(judged.frames), np.bool_)
    failed[judged.objects.frame[objects]] = True
    failed[judged.answers.frame[answers]] = True
    return failed


def likeness(
    judged: Judged, pool: SeenPool, codes: PoolCodes, wish: Wish, crops: tuple[Crops, Crops]
) -> NDArray[np.float64]:
    """Return each pool frame's chance to hold such a failure, (F,)."""
    own = PoolCodes.of_judged(judged, codes.known)
    known = [own.frames_alone(wish.where), *_fits(own, wish.where)]
    asked = [codes.frames_alone(wish.where), *_fits(codes, wish.where)]
    same = pool.embedder == judged.embedder
    scenes = unpacked(judged.vectors)
    frames = np.arange(len(judged.frames))
    by_frame = References.of(scenes, frames, wish.failed, REFERENCES)
    vectors = unpacked(pool.vectors)
    known.append(by_frame.lean(scenes, frames))
    asked.append(by_frame.lean(vectors) if same else np.zeros(len(vectors), np.float32))
    judged_rows, pool_rows = np.stack(known, axis=1), np.stack(asked, axis=1)
    chance = weigh(judged_rows, wish.failed, pool_rows)
    if not same or not len(crops[1].rows) or not len(crops[0].rows):
        return chance
    boxes, box_frame, box_failed = _boxes(judged, crops[0], wish)
    by_box = References.of(boxes, box_frame, box_failed, 4 * REFERENCES)
    leaning = best_of(by_box.lean(boxes, box_frame), box_frame, len(frames))
    likely = np.zeros(len(chance), np.bool_)
    likely[np.argsort(-chance, kind="stable")[:_LOOKED_INTO]] = True
    owner = pool.answers.frame[crops[1].rows].astype(np.int64)
    looked = likely[owner]
    lean = np.zeros(len(owner), np.float32)
    lean[looked] = by_box.lean(unpacked(crops[1].vectors[looked]))
    pictures = best_of(lean, owner, len(chance))
    pictures[~likely] = leaning.min(initial=0.0)
    return weigh(
        np.column_stack([judged_rows, leaning]), wish.failed, np.column_stack([pool_rows, pictures])
    )


def _fits(codes: PoolCodes, where: Where) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Count the answers of each frame that fit the conditions, and how doubtful they are."""
    fits = codes.boxes(where, 0.0)
    frame, score = codes.answers.frame[fits], codes.answers.score[fits].astype(float)
    many = codes.of_frames.shape[1]
    number = np.bincount(frame, weights=np.minimum(score * 2, 1), minlength=many)
    doubt = np.bincount(frame, weights=np.minimum(score, 1 - score), minlength=many)
    return np.log1p(number).astype(np.float32), np.log1p(doubt).astype(np.float32)


def _boxes(
    judged: Judged, crops: Crops, wish: Wish
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """Give the pictures of a record's boxes, the frames they are in, and which are looked for."""
    objects, answers = crops.rows[: crops.objects], crops.rows[crops.objects :]
    frame = np.concatenate([judged.objects.frame[objects], judged.answers.frame[answers]])
    failed = np.concatenate([np.isin(objects, wish.objects), np.isin(answers, wish.answers)])
    return unpacked(crops.vectors), frame.astype(np.int64), failed
