"""Single failures as rows for people, the costliest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.at_threshold import FOUND, KIND_OF, AtThreshold
from cvat_bridge.blindspots.types import Box, Failure
from cvat_bridge.evaluations.evaluated_frames import Kind
from cvat_bridge.evaluations.table import EvaluationTable

# Seconds of a person, in the proportions of the configuration's defaults (cost.add, fix, delete).
SECONDS: Mapping[Kind, float] = {
    "missed": 10.0,
    "wrong class": 4.0,
    "loose box": 5.0,
    "ghost": 2.0,
}


def costs(
    evaluated: EvaluationTable, at: AtThreshold, objects: Sequence[int], answers: Sequence[int]
) -> NDArray[np.float64]:
    """Return what each failure costs, objects first; among equals the surest error costs more."""
    of_object = [_cost(int(at.of_object[n]), _score(evaluated, int(at.answer[n]))) for n in objects]
    of_answer = [_cost(int(at.of_answer[n]), float(evaluated.answers.score[n])) for n in answers]
    return np.array([*of_object, *of_answer], float)


def failure_of_object(evaluated: EvaluationTable, at: AtThreshold, number: int) -> Failure:
    """Show an object that was not found as it should (or that was, for comparison)."""
    objects, answers = evaluated.objects, evaluated.answers
    answer = int(at.answer[number])
    kind = int(at.of_object[number])
    truth = evaluated.classes[int(objects.class_id[number])]
    told = evaluated.classes[int(answers.class_id[answer])] if answer >= 0 else ""
    return _row(
        evaluated,
        f"t{number}",
        kind,
        int(objects.frame[number]),
        truth,
        told,
        _box(objects.box[number]),
        _box(answers.box[answer]) if answer >= 0 else None,
        _score(evaluated, answer),
        float(answers.iou[answer]) if answer >= 0 else 0.0,
    )


def failure_of_answer(evaluated: EvaluationTable, at: AtThreshold, number: int) -> Failure:
    """Show an answer where nothing is."""
    answers = evaluated.answers
    return _row(
        evaluated,
        f"a{number}",
        int(at.of_answer[number]),
        int(answers.frame[number]),
        "",
        evaluated.classes[int(answers.class_id[number])],
        None,
        _box(answers.box[number]),
        float(answers.score[number]),
        0.0,
    )


def _row(
    evaluated: EvaluationTable,
    number: str,
    kind: int,
    place: int,
    truth: str,
    answer: str,
    truth_box: Box | None,
    answer_box: Box | None,
    score: float | None,
    iou: float,
) -> Failure:
    frames = evaluated.frames
    named: Kind = KIND_OF.get(kind, "missed")
    return Failure(
        number=number,
        kind=named,
        task_id=int(frames.task[place]),
        frame=int(frames.frame[place]),
        job_id=int(frames.job[place]),
        image=str(frames.image[place]),
        suffix=str(frames.suffix[place]),
        width=int(frames.width[place]),
        height=int(frames.height[place]),
        truth=truth,
        answer=answer,
        truth_box=truth_box,
        answer_box=answer_box,
        score=score,
        iou=iou,
        cost=_cost(kind, score),
        words=_words(kind, named, truth, answer, score, iou),
    )


def _words(kind: int, named: Kind, truth: str, answer: str, score: float | None, iou: float) -> str:
    sure = "" if score is None else f" (score {score:.2f})"
    if kind == FOUND:
        return f"{truth} found{sure}"
    return {
        "missed": f"{truth} missed: the model shows nothing here",
        "wrong class": f"{truth} taken for {answer}{sure}",
        "loose box": f"{truth} found, but the box covers it badly (IoU {iou:.2f})",
        "ghost": f"{answer} seen{sure} where nobody marked one",
    }[named]


def _cost(kind: int, score: float | None) -> float:
    if kind == FOUND:
        return 0.0
    return SECONDS[KIND_OF[kind]] + (score or 0.0)


def _score(evaluated: EvaluationTable, answer: int) -> float | None:
    return float(evaluated.answers.score[answer]) if answer >= 0 else None


def _box(values: NDArray[np.float32]) -> Box:
    x1, y1, x2, y2 = (round(float(v), 1) for v in values)
    return x1, y1, x2, y2
