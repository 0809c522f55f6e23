"""Blind spots and failures, from what was recorded alone: no call to CVAT, no model."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.at_threshold import FOUND, AtThreshold, at_threshold, confusion
from cvat_bridge.blindspots.conditions import Conditions, conditions_of, read_key, words_of
from cvat_bridge.blindspots.page import BlindSpotsReport
from cvat_bridge.blindspots.pool_matches import PoolCodes
from cvat_bridge.blindspots.rows import costs, failure_of_answer, failure_of_object
from cvat_bridge.blindspots.slicing import ConditionCells
from cvat_bridge.blindspots.types import BlindSpots, Failures, RecordedModel
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.evaluations.evaluated_frames import SOURCES, Source
from cvat_bridge.evaluations.table import EvaluationTable, read_evaluation, read_pool
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement

CONFIDENCE = 0.95


def recorded_models(ledger: Ledger) -> tuple[RecordedModel, ...]:
    """Return every model and source that there are matches of, the newest first; () for none."""
    return tuple(
        RecordedModel(
            model=row.model,
            source=next(one for one in SOURCES if one == row.source),
            round=row.round,
            frames=row.frames,
            objects=row.objects,
            answers=row.answers,
            threshold=row.threshold,
            recorded=row.recorded,
        )
        for row in ledger.judgements()
        if row.source in SOURCES
    )


def recorded(ledger: Ledger, model: str, source: Source) -> Judgement:
    """Return what is recorded of a model and source. Raises NothingToDoError for nothing."""
    rows = [row for row in ledger.judgements() if row.model == model]
    for row in rows:
        if row.source == source:
            return row
    there = ", ".join(row.source for row in rows) or "nothing"
    raise NothingToDoError(
        f"of model {model[:12]} there are no judged frames from the source {source!r} (recorded: "
        f"{there}). {_HOW[source]}"
    )


_HOW: dict[Source, str] = {
    "holdout": "They come with the next round that judges a model on the holdout: finish jobs, and "
    "run `cvat-bridge round`",
    "control": "They come once people have finished frames that a round drew at random and this "
    "model had read before",
    "corrected": "They come once people have finished jobs that this model pre-annotated",
}


def blind_spots(
    home: Home,
    ledger: Ledger,
    *,
    model: str,
    source: Source,
    threshold: float | None = None,
    confidence: float = CONFIDENCE,
    most: int = 30,
) -> BlindSpots:
    """Return the page of a model: slices worst first, confusion, overall figures.

    threshold: answers below it do not count, None for the model's own. most: slices at most.
    Raises NothingToDoError when nothing of this model and source is recorded, LedgerError.
    """
    row = recorded(ledger, model, source)
    evaluated = read_evaluation(home.judged, row.file)
    wanted = row.threshold if threshold is None else threshold
    seen = ledger.pool(model)
    pool = None if seen is None else pool_codes(home.judged, seen.file, row.file)
    known, of_objects, of_answers = coded(home.judged, row.file)
    page = BlindSpotsReport(evaluated, known, of_objects, of_answers, wanted, confidence, pool)
    found = page.slices(most)
    return BlindSpots(
        model=model,
        source=source,
        round=row.round,
        threshold=wanted,
        confidence=confidence,
        frames=row.frames,
        objects=row.objects,
        answers=int(page.at.shown.sum()),
        recall=page.recall,
        precision=page.precision,
        kinds=page.kinds,
        slices=found,
        too_few=page.too_few(most),
        looked_at=page.looked_at,
        confusion=confusion(evaluated, page.at),
        method=page.method,
        notes=page.notes(source),
        recorded=row.recorded,
    )


def failures(
    home: Home,
    ledger: Ledger,
    *,
    model: str,
    source: Source,
    where: str = "",
    truth: str | None = None,
    answer: str | None = None,
    threshold: float | None = None,
    start: int = 0,
    count: int = 48,
) -> Failures:
    """Return the failures of a slice (where: its key) or of a cell of the confusion matrix.

    truth, answer: class names, "" for nothing, None for any; a cell on the diagonal gives the
    objects that were found. Raises NothingToDoError as blind_spots does, ValueError for a key or
    class that is not known.
    """
    row = recorded(ledger, model, source)
    evaluated = read_evaluation(home.judged, row.file)
    at = at_threshold(evaluated, row.threshold if threshold is None else threshold)
    known, of_objects, of_answers = coded(home.judged, row.file)
    objects, answers = failing(evaluated, at, known, of_objects, of_answers, where)
    objects, answers = _in_cell(evaluated, at, objects, answers, truth, answer)
    cost = costs(evaluated, at, objects.tolist(), answers.tolist())
    order = np.argsort(-cost, kind="stable")
    picked = order[start : start + count].tolist()
    parts = [known.attributes[a].conditions[c] for a, c in read_key(known, where)]
    return Failures(
        where=where,
        words=words_of(parts),
        total=len(order),
        start=start,
        rows=tuple(
            failure_of_object(evaluated, at, int(objects[n]))
            if n < len(objects)
            else failure_of_answer(evaluated, at, int(answers[n - len(objects)]))
            for n in picked
        ),
    )


def failing(
    evaluated: EvaluationTable,
    at: AtThreshold,
    known: Conditions,
    of_objects: ConditionCells,
    of_answers: ConditionCells,
    where: str,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of objects (found ones too) and of shown answers in a slice."""
    objects = np.ones(len(evaluated.objects), np.bool_)
    answers = at.shown.copy()
    for attribute, code in read_key(known, where):
        objects &= of_objects.codes[attribute] == code
        answers &= of_answers.codes[attribute] == code
    return np.flatnonzero(objects), np.flatnonzero(answers)


@functools.lru_cache(maxsize=4)
def coded(folder: Path, file: str) -> tuple[Conditions, ConditionCells, ConditionCells]:
    """Return the conditions of a record, and the slices of its objects and answers.

    Kept in memory: a few bytes for each box and pair of attributes.
    """
    evaluated = read_evaluation(folder, file)
    known = conditions_of(evaluated)
    return (
        known,
        ConditionCells(known, known.codes(evaluated.frames, evaluated.objects, evaluated.subsets)),
        ConditionCells(known, known.codes(evaluated.frames, evaluated.answers, evaluated.subsets)),
    )


@functools.lru_cache(maxsize=3)
def pool_codes(folder: Path, pool: str, file: str) -> PoolCodes:
    """Return the pool in the terms of a record; kept in memory."""
    known, _, _ = coded(folder, file)
    return PoolCodes.of(read_pool(folder, pool), known, read_evaluation(folder, file))


def _in_cell(
    evaluated: EvaluationTable,
    at: AtThreshold,
    objects: NDArray[np.int64],
    answers: NDArray[np.int64],
    truth: str | None,
    answer: str | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep what failed, or what lies in a cell of the confusion matrix."""
    for name in (truth, answer):
        if name and name not in evaluated.classes:
            raise ValueError(
                f"no class {name!r} in this record: {', '.join(evaluated.classes[:10])}"
            )
    named = (at.of_object == FOUND) | (at.of_object == 2)
    told = np.where(named, evaluated.answers.class_id[at.answer] if len(at.of_answer) else -1, -1)
    alone = answers[at.of_answer[answers] >= 3]
    if truth is None and answer is None:
        return objects[at.of_object[objects] != FOUND], answers[at.of_answer[answers] == 4]
    if truth is not None:
        wanted = evaluated.classes.index(truth) if truth else -2
        objects = objects[evaluated.objects.class_id[objects] == wanted]
        alone = alone if not truth else alone[:0]
    if answer is not None:
        wanted = evaluated.classes.index(answer) if answer else -1
        objects = objects[told[objects] == wanted]
        alone = alone[evaluated.answers.class_id[alone] == wanted] if answer else alone[:0]
    return objects, alone
