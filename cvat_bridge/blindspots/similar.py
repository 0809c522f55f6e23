"""Frames of the pool that look like what the model fails on."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from active_learning.control import control_rows, control_size, interleave
from active_learning.measures.cost import CostModel
from cvat_bridge.blindspots.at_threshold import at_threshold
from cvat_bridge.blindspots.conditions import words_of
from cvat_bridge.blindspots.pool_matches import SEEN_FROM
from cvat_bridge.blindspots.queries import coded, pool_codes, recorded
from cvat_bridge.blindspots.search_target import failure_probability, read_search_target
from cvat_bridge.blindspots.types import Similar, SimilarFrame
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.evaluations.evaluated_frames import Source
from cvat_bridge.evaluations.table import (
    AnswerColumns,
    PoolTable,
    read_crops,
    read_evaluation,
    read_pool,
)
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.settings import RoundSettings

_ALIKE_BITS = 16  # of 256: nearer than this, two frames show a person the same


def find_similar(
    home: Home,
    ledger: Ledger,
    settings: RoundSettings,
    *,
    model: str,
    source: Source,
    where: str,
    threshold: float | None = None,
    count: int = 50,
    control_share: float = 0.1,
    chosen: tuple[str, ...] = (),
) -> Similar:
    """Rank the frames of the pool as the last prediction left it; asks CVAT nothing.

    where: a slice's key, "" for all failures. chosen: numbers of single failures (Failure.number)
    to look for instead. control_share: of the count, drawn at random. Raises NothingToDoError when
    the pool was not read by this model or nothing is recorded, LedgerError, and ValueError for a
    key or number that is not known.
    """
    row, seen = recorded(ledger, model, source), ledger.pool(model)
    if seen is None:
        raise NothingToDoError(
            f"model {model[:12]} has not read the pool. The next round lets the serving model read "
            "it: run `cvat-bridge round`, or ask for the model that serves now"
        )
    evaluated, pool = read_evaluation(home.judged, row.file), read_pool(home.judged, seen.file)
    cut = row.threshold if threshold is None else threshold
    target = read_search_target(
        home, evaluated, row.file, at_threshold(evaluated, cut), where, chosen
    )
    free = _free(ledger, pool)
    if not free.any():
        raise NothingToDoError("people have every frame of the pool already; add a task to it")
    crops = (read_crops(home.judged, row.crops), read_crops(home.judged, seen.crops))
    codes = pool_codes(home.judged, seen.file, row.file)
    chance = failure_probability(evaluated, pool, codes, target, crops)
    seed = int(hashlib.sha256(f"{settings.seed}/{model}/{where}".encode()).hexdigest()[:8], 16)
    size = min(control_size(count, control_share), int(free.sum()))
    rank = np.arange(int(free.sum()))
    control = np.flatnonzero(free)[control_rows(rank, size, np.random.default_rng(seed))]
    picked, vetoed = _apart(pool, chance, free, control, count - size, settings)
    rows, places = interleave(picked, control)
    objects, seconds = _effort(pool, cut, settings.selection.cost)
    parts = [coded(home.judged, row.file)[0].attributes[a].conditions[c] for a, c in target.where]
    words = words_of(parts) if not chosen else f"{len(chosen)} chosen failures"
    drawn = set(places.tolist())
    notes = []
    if not len(crops[1].rows):
        notes.append(
            "No pictures of single objects are kept of this pool yet; frames are compared as a "
            "whole. The next round keeps them."
        )
    if not target.failed.any():
        notes.append("The model has no failure here at this threshold; conditions alone count.")
    if len(rows) < count:
        notes.append(f"The pool has {len(rows)} frames that are not nearly the same, not {count}.")
    return Similar(
        model=model,
        source=source,
        where=where,
        words=words,
        threshold=cut,
        frames=tuple(
            _frame(pool, n, int(place), chance, objects, n - 1 in drawn, words)
            for n, place in enumerate(rows.tolist(), 1)
        ),
        looked_at=int(free.sum()),
        vetoed=vetoed,
        expected_objects=round(float(objects[rows].sum()), 1),
        expected_minutes=round(float(seconds[rows].sum()) / 60, 1),
        notes=tuple(notes),
    )


def _free(ledger: Ledger, pool: PoolTable) -> NDArray[np.bool_]:
    """Return which frames no round and no person has taken since."""
    taken = [(row.source_task << 32) + row.source_frame for row in ledger.provenance()]
    keys = (pool.frames.task.astype(np.int64) << 32) + pool.frames.frame
    return np.asarray(~np.isin(keys, np.array(taken, np.int64)), np.bool_)


def _apart(
    pool: PoolTable,
    chance: NDArray[np.float64],
    free: NDArray[np.bool_],
    control: NDArray[np.int64],
    count: int,
    settings: RoundSettings,
) -> tuple[NDArray[np.int64], int]:
    """Take the likeliest free frames, none nearly as one taken; count those passed over."""
    least = max(settings.duplicate_distance, _ALIKE_BITS)
    taken = [_bits(pool, int(n)) for n in control]
    drawn = set(control.tolist())
    picked: list[int] = []
    vetoed = 0
    for place in np.argsort(-np.where(free, chance, -1.0), kind="stable").tolist():
        if len(picked) == count or not free[place]:
            break
        if place in drawn:
            continue
        bits = _bits(pool, place)
        if len(bits) and any(len(b) and int((b != bits).sum()) <= least for b in taken):
            vetoed += 1
            continue
        taken.append(bits)
        picked.append(place)
    return np.array(picked, np.int64), vetoed


def _bits(pool: PoolTable, place: int) -> NDArray[np.uint8]:
    text = str(pool.perceptual[place])
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8))


def _effort(
    pool: PoolTable, threshold: float, cost: CostModel
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the objects expected in each frame, and a person's seconds with pre-annotations.

    As active_learning.measures.cost has it: of shown answers that are wrong half are mended.
    """
    answers: AnswerColumns = pool.answers
    score, many = answers.score.astype(float), len(pool.frames)
    shown = score >= threshold
    mended = (1 - score) * 0.5 * (cost.fix + cost.delete)
    each = np.where(shown, score * cost.verify + mended, score * cost.add)
    counted = score >= SEEN_FROM * threshold
    objects = np.bincount(answers.frame[counted], weights=score[counted], minlength=many)
    seconds = np.bincount(answers.frame[counted], weights=each[counted], minlength=many)
    return objects.astype(np.float64), (seconds + cost.frame).astype(np.float64)


def _frame(
    pool: PoolTable,
    rank: int,
    place: int,
    chance: NDArray[np.float64],
    objects: NDArray[np.float64],
    control: bool,
    words: str,
) -> SimilarFrame:
    table = pool.frames
    arm: Literal["strategy", "control"] = "control" if control else "strategy"
    reason = "drawn at random, for comparison" if control else f"looks like: {words}"
    return SimilarFrame(
        rank=rank,
        key=frame_key(int(table.task[place]), int(table.frame[place])),
        task_id=int(table.task[place]),
        frame=int(table.frame[place]),
        image=str(table.image[place]),
        suffix=str(table.suffix[place]),
        likeness=round(float(chance[place]), 4),
        arm=arm,
        expected=round(float(objects[place]), 1),
        reason=reason,
    )
