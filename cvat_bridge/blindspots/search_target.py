"""What is looked for in the pool, and each frame's chance to hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.at_threshold import FOUND, AtThreshold
from cvat_bridge.blindspots.conditions import read_key
from cvat_bridge.blindspots.failure_similarity import REFERENCES, References, best_of, weigh
from cvat_bridge.blindspots.pool_matches import PoolCodes
from cvat_bridge.blindspots.queries import coded, failing
from cvat_bridge.blindspots.slicing import Where
from cvat_bridge.evaluations.table import CropTable, EvaluationTable, PoolTable, unpacked
from cvat_bridge.home import Home

# Frames compared roughly, by their picture, and by their boxes' pictures: the likeliest so far.
_WEIGHED, _PLACED, _LOOKED_INTO = 20_000, 5000, 1000
_LEARNT_FROM = 300  # judged frames, evenly
_GHOST = 4


@dataclass(frozen=True, eq=False)
class SearchTarget:
    """What is looked for. where: conditions; objects, answers: rows of the record that failed.

    failed: (F,) judged frames that hold one of them.
    """

    where: Where
    objects: NDArray[np.int64]
    answers: NDArray[np.int64]
    failed: NDArray[np.bool_]


def read_search_target(
    home: Home,
    evaluated: EvaluationTable,
    file: str,
    at: AtThreshold,
    where: str,
    chosen: Sequence[str],
) -> SearchTarget:
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
        if (objects >= len(evaluated.objects)).any() or (answers >= len(evaluated.answers)).any():
            raise ValueError("a chosen failure is not in this record; it is of another one")
        return SearchTarget((), objects, answers, _frames(evaluated, objects, answers))
    objects, answers = failing(evaluated, at, known, of_objects, of_answers, where)
    objects = objects[at.of_object[objects] != FOUND]
    answers = answers[at.of_answer[answers] == _GHOST]
    # Ghosts cost little: they are looked for only where they are most of what fails.
    answers = answers if len(answers) > len(objects) else answers[:0]
    return SearchTarget(
        read_key(known, where), objects, answers, _frames(evaluated, objects, answers)
    )


def _frames(
    evaluated: EvaluationTable, objects: NDArray[np.int64], answers: NDArray[np.int64]
) -> NDArray[np.bool_]:
    failed = np.zeros(len(evaluated.frames), np.bool_)
    failed[evaluated.objects.frame[objects]] = True
    failed[evaluated.answers.frame[answers]] = True
    return failed


def failure_probability(
    evaluated: EvaluationTable,
    pool: PoolTable,
    codes: PoolCodes,
    target: SearchTarget,
    crops: tuple[CropTable, CropTable],
) -> NDArray[np.float64]:
    """Return each pool frame's chance to hold such a failure, (F,)."""
    own = PoolCodes.of_judged(evaluated, codes.known)
    frames = np.arange(len(evaluated.frames))[:: -(-len(evaluated.frames) // _LEARNT_FROM)]
    failed = target.failed[frames]
    known = np.column_stack([own.frames_alone(target.where), *_fits(own, target.where)])[frames]
    asked = np.column_stack([codes.frames_alone(target.where), *_fits(codes, target.where)])
    chance = weigh(known, failed, asked)
    if pool.embedder != evaluated.embedder:
        return chance
    # Pictures cost more to compare, so of a large pool the likeliest frames alone are.
    rows = _likeliest(chance, _WEIGHED)
    rows = rows[_likeliest(chance[rows] + _toward(evaluated, target, pool, rows), _PLACED)]
    many = len(evaluated.frames)
    by_frame = References.of(evaluated.vectors, np.arange(many), target.failed, REFERENCES)
    scenes = unpacked(evaluated.vectors[frames])
    known = np.column_stack([known, by_frame.lean(scenes, frames)])
    near = np.column_stack([asked[rows], by_frame.lean(unpacked(pool.vectors[rows]))])
    chance = _within(chance, rows, weigh(known, failed, near))
    if not len(crops[1].rows) or not len(crops[0].rows):
        return chance
    boxes, box_frame, box_failed = _boxes(evaluated, crops[0], target)
    by_box = References.of(boxes, box_frame, box_failed, 2 * REFERENCES)
    learnt = np.full(many, -1)
    learnt[frames] = np.arange(len(frames))
    mine = np.flatnonzero(learnt[box_frame] >= 0)
    leaning = by_box.lean(unpacked(boxes[mine]), box_frame[mine])
    known = np.column_stack([known, best_of(leaning, learnt[box_frame[mine]], len(frames))])
    few = _likeliest(chance[rows], _LOOKED_INTO)
    place = np.full(len(chance), -1)
    place[rows[few]] = np.arange(len(few))
    owner = place[pool.answers.frame[crops[1].rows]]
    looked = owner >= 0
    lean = by_box.lean(unpacked(crops[1].vectors[looked]))
    nearest = np.column_stack([near[few], best_of(lean, owner[looked], len(few))])
    return _within(chance, rows[few], weigh(known, failed, nearest))


def _toward(
    evaluated: EvaluationTable, target: SearchTarget, pool: PoolTable, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Say roughly how near frames are to those that failed: to their middle, -1..1."""
    failed = target.failed
    if len(rows) <= _PLACED or not failed.any() or failed.all():
        return np.zeros(len(rows))
    way = evaluated.vectors[failed].mean(axis=0) - evaluated.vectors[~failed].mean(axis=0)
    found = pool.vectors[rows].astype(np.float32) @ way.astype(np.float32)
    return np.asarray(found / max(float(np.abs(found).max()), 1e-9), np.float64)


def _likeliest(chance: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return the rows of greatest chance, best first."""
    return np.argsort(-chance, kind="stable")[:most]


def _within(
    chance: NDArray[np.float64], rows: NDArray[np.int64], looked: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Put what was found out of these rows before all the others, which keep their order."""
    if len(rows) == len(chance):
        found = np.empty(len(chance))
    else:
        found = chance * min(float(looked.min(initial=1.0)), 1.0)
    found[rows] = looked
    return found


def _fits(codes: PoolCodes, where: Where) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Count the answers of each frame that fit the conditions, and how doubtful they are."""
    fits = codes.boxes(where, 0.0)
    frame, score = codes.answers.frame[fits], codes.answers.score[fits].astype(float)
    many = codes.of_frames.shape[1]
    number = np.bincount(frame, weights=np.minimum(score * 2, 1), minlength=many)
    doubt = np.bincount(frame, weights=np.minimum(score, 1 - score), minlength=many)
    return np.log1p(number).astype(np.float32), np.log1p(doubt).astype(np.float32)


def _boxes(
    evaluated: EvaluationTable, crops: CropTable, target: SearchTarget
) -> tuple[NDArray[np.int8], NDArray[np.int64], NDArray[np.bool_]]:
    """Return the pictures of a record's boxes, the frames they are in, and which are looked for."""
    objects, answers = crops.rows[: crops.objects], crops.rows[crops.objects :]
    frame = np.concatenate([evaluated.objects.frame[objects], evaluated.answers.frame[answers]])
    failed = np.concatenate([np.isin(objects, target.objects), np.isin(answers, target.answers)])
    return crops.vectors, frame.astype(np.int64), failed
