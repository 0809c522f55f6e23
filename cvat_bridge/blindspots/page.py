"""One page of blind spots: a record at a threshold, sliced."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.blindspots.at_threshold import FOUND, at_threshold, kinds_in
from cvat_bridge.blindspots.bounds import ShareCounts, bounds
from cvat_bridge.blindspots.conditions import Conditions, key_of, words_of
from cvat_bridge.blindspots.pool_matches import SEEN_FROM, PoolCodes
from cvat_bridge.blindspots.rows import failure_of_answer, failure_of_object
from cvat_bridge.blindspots.slicing import (
    LEAST_BOXES,
    LEAST_FRAMES,
    ConditionCells,
    SliceableBoxes,
    WeakSlice,
    Where,
    find,
)
from cvat_bridge.blindspots.types import Failure, Share, Slice, SliceVerdict
from cvat_bridge.evaluations.evaluated_frames import Kind, Source
from cvat_bridge.evaluations.table import EvaluationTable

_GHOST = 4
_BIASED = (
    "These frames were chosen because they were thought useful, and people saw the model's boxes "
    "before they drew, so shares are biased: use them to find failures, not to state how good the "
    "model is."
)
_FEW_FRAMES = 30
_LOOK_AT_FRAMES = 1000  # boxes, from which a slice surely has enough frames


class BlindSpotsReport:
    """A record at a threshold.

    of_objects, of_answers: its slices. pool: what the model saw
    in the pool, None where it has not read it.
    """

    def __init__(
        self,
        evaluated: EvaluationTable,
        known: Conditions,
        of_objects: ConditionCells,
        of_answers: ConditionCells,
        threshold: float,
        confidence: float,
        pool: PoolCodes | None,
    ) -> None:
        self.evaluated, self.known, self.confidence = evaluated, known, confidence
        self.at = at_threshold(evaluated, threshold)
        group = evaluated.frames.group.astype(np.int64)
        everything = np.ones(len(evaluated.objects), np.bool_)
        self._objects = SliceableBoxes(
            of_objects, everything, self.at.of_object == FOUND, group[evaluated.objects.frame]
        )
        self._answers = SliceableBoxes(
            of_answers, self.at.shown, self.at.of_answer == FOUND, group[evaluated.answers.frame]
        )
        self.looked_at = self._objects.compared + self._answers.compared
        # Each slice compared has a bound of its own and one of the rest.
        level = (1 - confidence) / max(2 * self.looked_at, 1)
        self._objects.level = self._answers.level = level
        self._pool, self._nearly = pool, SEEN_FROM * threshold

    @property
    def method(self) -> str:
        """How sure the bounds are, in a sentence."""
        return (
            f"{self.looked_at} slices were compared; all bounds hold together with "
            f"{self.confidence:.0%} confidence (Clopper-Pearson on the effective number of "
            "objects, as objects of one frame fail together; Bonferroni)."
        )

    @functools.cached_property
    def recall(self) -> Share:
        """Of all objects, those that were found."""
        return self._whole(self._objects)

    @functools.cached_property
    def precision(self) -> Share:
        """Of all answers, those that are right."""
        return self._whole(self._answers)

    @property
    def kinds(self) -> dict[Kind, int]:
        """All failures by kind."""
        return kinds_in(
            self.at,
            np.ones(len(self.evaluated.objects), np.bool_),
            np.ones(len(self.evaluated.answers), np.bool_),
        )

    def notes(self, source: Source) -> tuple[str, ...]:
        """Return what people should know."""
        told = [_BIASED] if source == "corrected" else []
        if len(self.evaluated.frames) < _FEW_FRAMES:
            told.append(
                f"Only {len(self.evaluated.frames)} frames were judged: most blind spots cannot be "
                "told from chance yet."
            )
        if self._pool is None:
            told.append(
                "This model has not read the pool, so nothing is said of unlabelled frames."
            )
        return tuple(told)

    def slices(self, most: int) -> tuple[Slice, ...]:
        """Return the slices that are surely worse, the weightiest first."""
        by_recall = {one.where: one for one in find(self._objects)}
        by_precision = {one.where: one for one in find(self._answers)}
        weight = {
            where: max(one.weight for one in (by_recall.get(where), by_precision.get(where)) if one)
            for where in {**by_recall, **by_precision}
        }
        order = sorted(weight, key=lambda where: (-weight[where], where))[:most]
        return tuple(self._slice(where) for where in order)

    def too_few(self, most: int) -> tuple[Slice, ...]:
        """Return the single conditions that hold too few objects to say anything."""
        found: list[Slice] = []
        for where, (size, _) in self._objects.sizes.items():
            if len(where) > 1 or len(found) == most:
                break
            frames = LEAST_FRAMES
            if size < _LOOK_AT_FRAMES:
                inside = self._objects.mask(where)
                frames = len(np.unique(self.evaluated.objects.frame[inside]))
            if size < LEAST_BOXES or frames < LEAST_FRAMES:
                found.append(self._slice(where))
        return tuple(found)

    def _slice(self, where: Where) -> Slice:
        objects, answers = self._objects.mask(where), self._answers.mask(where)
        recall = self._objects.compare(where, objects)
        precision = self._answers.compare(where, answers)
        parts = tuple(self.known.attributes[a].conditions[c] for a, c in where)
        kinds = kinds_in(self.at, objects, answers)
        main = max(kinds, key=lambda kind: kinds[kind])
        verdicts = _verdict(recall), _verdict(precision)
        return Slice(
            key=key_of(parts),
            words=words_of(parts),
            conditions=parts,
            objects=int(objects.sum()),
            answers=int(answers.sum()),
            frames=int((np.bincount(self.evaluated.objects.frame[objects]) > 0).sum()),
            recall=_share(recall.inside, recall.low, recall.high),
            rest_recall=_share(recall.outside, recall.rest_low, recall.rest_high),
            recall_verdict=verdicts[0],
            precision=_share(precision.inside, precision.low, precision.high),
            rest_precision=_share(precision.outside, precision.rest_low, precision.rest_high),
            precision_verdict=verdicts[1],
            lost=round(recall.lost + precision.lost, 1),
            kinds=kinds,
            main_kind=main if kinds[main] else None,
            typical=self._typical(objects, answers, main),
            pool_frames=None
            if self._pool is None
            else int(self._pool.frames(where, self._nearly).sum()),
        )

    def _typical(
        self, objects: NDArray[np.bool_], answers: NDArray[np.bool_], kind: Kind
    ) -> Failure | None:
        """Return the failure of the main kind whose box is nearest to the middle in size."""
        if kind == "ghost":
            rows = np.flatnonzero(answers & (self.at.of_answer == _GHOST))
            if not len(rows):
                return None
            return failure_of_answer(
                self.evaluated, self.at, _middle(rows, self.evaluated.answers.size[rows])
            )
        code = {"missed": 1, "wrong class": 2, "loose box": 3}[kind]
        rows = np.flatnonzero(objects & (self.at.of_object == code))
        if not len(rows):
            return None
        return failure_of_object(
            self.evaluated, self.at, _middle(rows, self.evaluated.objects.size[rows])
        )

    def _whole(self, boxes: SliceableBoxes) -> Share:
        one = boxes.compare((), boxes.mask(())).inside
        return _share(one, *bounds(one, (1 - self.confidence) / 2))


def _middle(rows: NDArray[np.int64], sizes: NDArray[np.float32]) -> int:
    return int(rows[int(np.argmin(np.abs(sizes - np.median(sizes))))])


def _share(one: ShareCounts, low: float, high: float) -> Share:
    return Share(one.right, one.of, one.value, low, high)


def _verdict(one: WeakSlice) -> SliceVerdict:
    if one.inside.of < LEAST_BOXES or one.inside.clusters < LEAST_FRAMES or not one.outside.of:
        return "too few to say"
    if one.worse:
        return "worse"
    # Not even a slice that failed wholly could be told from the rest.
    nothing = replace(one.inside, right=0)
    return "too few to say" if bounds(nothing, 1e-3)[1] >= one.rest_low else "not worse"
