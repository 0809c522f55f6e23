"""Which frames of the pool look like a slice."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from cvat_bridge.blindspots.conditions import Codes, Conditions
from cvat_bridge.blindspots.slicing import Where
from cvat_bridge.evaluations.clusters import nearest
from cvat_bridge.evaluations.table import (
    AnswerColumns,
    EvaluationTable,
    FrameColumns,
    PoolTable,
    unpacked,
)

SEEN_FROM = 0.5  # of the threshold: what a model nearly shows is there often enough


@dataclass(frozen=True, eq=False)
class PoolCodes:
    """The pool in the terms of a record.

    answers: what the model saw, class_id in the record's classes. codes: (attributes, N) of them;
    of_frames: (attributes, F), -1 for attributes of boxes.
    """

    known: Conditions
    answers: AnswerColumns
    codes: Codes
    of_frames: Codes

    @classmethod
    def of(cls, pool: PoolTable, known: Conditions, evaluated: EvaluationTable) -> Self:
        """Read the pool as a record does; where the embedders differ no frame has a scene."""
        table = pool.frames
        if pool.embedder == evaluated.embedder and len(pool.vectors):
            table = replace(table, cluster=nearest(unpacked(pool.vectors), evaluated.centres))
        place = {name: n for n, name in enumerate(known.classes)}
        of_model = np.array([place.get(name, -1) for name in pool.classes] or [-1], np.int32)
        answers = replace(pool.answers, class_id=of_model[pool.answers.class_id])
        return cls._over(known, table, answers, pool.subsets)

    @classmethod
    def of_judged(cls, evaluated: EvaluationTable, known: Conditions) -> Self:
        """Read a record's own frames and answers as if they were a pool."""
        return cls._over(known, evaluated.frames, evaluated.answers, evaluated.subsets)

    @classmethod
    def _over(
        cls,
        known: Conditions,
        table: FrameColumns,
        answers: AnswerColumns,
        subsets: tuple[str, ...],
    ) -> Self:
        none = np.full(len(table), -1, np.int32)
        of_frames = [
            known.frame_code(one, table, subsets) if one.of_frame else none
            for one in known.attributes
        ]
        return cls(known, answers, known.codes(table, answers, subsets), np.stack(of_frames))

    def frames_alone(self, where: Where) -> NDArray[np.float32]:
        """Return 1 for each frame that fits the conditions of frames among these, else 0."""
        fits = np.ones(self.of_frames.shape[1], np.bool_)
        for attribute, code in where:
            if self.known.attributes[attribute].of_frame:
                fits &= self.of_frames[attribute] == code
        return fits.astype(np.float32)

    def boxes(self, where: Where, least: float) -> NDArray[np.bool_]:
        """Return which answers from this score on fit the conditions of a slice."""
        found = self.answers.score >= least
        for attribute, code in where:
            found &= self.codes[attribute] == code
        return found

    def frames(self, where: Where, least: float) -> NDArray[np.bool_]:
        """Return which frames look like a slice: by themselves, and by one box seen there."""
        fits = self.frames_alone(where) > 0
        if not all(self.known.attributes[attribute].of_frame for attribute, _ in where):
            holds = np.zeros(len(fits), np.bool_)
            holds[self.answers.frame[self.boxes(where, least)]] = True
            fits &= holds
        return fits
