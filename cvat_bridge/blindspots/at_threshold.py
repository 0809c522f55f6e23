"""A record read at one threshold: what was found, and how the rest failed. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.types import Confusion
from cvat_bridge.evaluations.evaluated_frames import Kind
from cvat_bridge.evaluations.table import EvaluationTable

Bools = NDArray[np.bool_]
FOUND = 0
MOST_CLASSES = 40  # that a matrix on a screen can hold
KIND_OF: dict[int, Kind] = {1: "missed", 2: "wrong class", 3: "loose box", 4: "ghost"}
_MISSED, _WRONG, _LOOSE, _GHOST = 1, 2, 3, 4


@dataclass(frozen=True, eq=False)
class AtThreshold:
    """A record at one threshold.

    shown: (M,) answers that count. of_object: (N,) FOUND or a key of KIND_OF. of_answer: (M,)
    FOUND for a right answer, a key of KIND_OF for another that is shown, -1 for what is not shown.
    An answer that explains why an object failed carries that object's kind; the object counts it.
    answer: (N,) the answer that explains an object, -1 for none.
    """

    shown: Bools
    of_object: NDArray[np.int8]
    of_answer: NDArray[np.int8]
    answer: NDArray[np.int32]


def at_threshold(evaluated: EvaluationTable, threshold: float) -> AtThreshold:
    """Read a record at a threshold; an object is found by an answer that reaches it."""
    objects, answers = evaluated.objects, evaluated.answers
    # One place more, so that -1 (no answer) points to a score that is never reached.
    score = np.append(answers.score, -1.0)
    shown = answers.score >= threshold
    kinds = np.full(len(objects), _MISSED, np.int8)
    explains = np.full(len(objects), -1, np.int32)
    for kind, column in ((_LOOSE, objects.loose), (_WRONG, objects.other), (FOUND, objects.found)):
        here = score[column] >= threshold
        kinds[here], explains[here] = kind, column[here]
    of_answer = np.where(shown, _GHOST, -1).astype(np.int8)
    used = explains >= 0
    of_answer[explains[used]] = kinds[used]
    return AtThreshold(shown, kinds, of_answer, explains)


def confusion(
    evaluated: EvaluationTable, at: AtThreshold, *, most: int = MOST_CLASSES
) -> Confusion:
    """Count which class is answered as which; a loose box counts as nothing found there.

    most: classes shown; of more than that those with most failures, in the record's order.
    """
    objects, answers, many = evaluated.objects, evaluated.answers, len(evaluated.classes)
    answered = np.full(len(objects), many)
    named = (at.of_object == FOUND) | (at.of_object == _WRONG)
    answered[named] = answers.class_id[at.answer[named]]
    alone = (at.of_answer == _GHOST) | (at.of_answer == _LOOSE)
    rows = np.concatenate([objects.class_id, np.full(int(alone.sum()), many)])
    columns = np.concatenate([answered, answers.class_id[alone]])
    wrong = rows != columns
    failed = np.bincount(rows[wrong], minlength=many + 1) + np.bincount(
        columns[wrong], minlength=many + 1
    )
    shown = np.sort(np.argsort(-failed[:many], kind="stable")[:most])
    place = np.full(many + 1, -1)
    place[shown], place[many] = np.arange(len(shown)), len(shown)
    kept = (place[rows] >= 0) & (place[columns] >= 0)
    wide = len(shown) + 1
    counts = np.bincount(place[rows[kept]] * wide + place[columns[kept]], minlength=wide**2)
    return Confusion(
        (*(evaluated.classes[n] for n in shown), ""),
        tuple(tuple(row) for row in counts.reshape(wide, wide).tolist()),
        many - len(shown),
    )


def kinds_in(at: AtThreshold, objects: Bools, answers: Bools) -> dict[Kind, int]:
    """Count the failures of these objects, and the ghosts among these answers."""
    found = np.bincount(at.of_object[objects], minlength=5)
    ghosts = int((at.of_answer[answers] == _GHOST).sum())
    counts = {KIND_OF[n]: int(found[n]) for n in (_MISSED, _WRONG, _LOOSE)}
    return {**counts, KIND_OF[_GHOST]: ghosts}
