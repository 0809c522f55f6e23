"""How many clicks a person needs, and how many seconds: a model of a person, sources given.

Extreme points: 7.2 s for the four, looking included (Papadopoulos et al., Extreme clicking for
efficient object annotation, ICCV 2017, which also gives 34.5 s for a box as drawn for ImageNet by
Su et al., 2012). A corrective click: 3.0 s, our assumption: the 2.4 s of a first point on an
object (Bearman et al., What's the Point, ECCV 2016) and a look at the answer. A polygon by hand:
79.2 s (Lin et al., Microsoft COCO, ECCV 2014: 22 hours for 1000 segmentations). The machine's own
seconds are added to each answer. An object that never gets good enough is drawn by hand after all.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tests.bench.interacting.objects import Target
from tests.bench.interacting.peers import Method
from trainer.evaluation.simulated_annotator import four_points, iou, next_click

EXTREME_SECONDS = 7.2
CORRECTION_SECONDS = 3.0
POLYGON_SECONDS = 79.2
MOST = 20  # clicks, the four first ones included


@dataclass(frozen=True)
class Work:
    """One object's course. ious: after 4, 5, … clicks. seconds: of the machine, all answers."""

    ious: tuple[float, ...]
    seconds: float

    def clicks(self, wanted: float) -> int:
        """Return how many clicks it took to reach an IoU; MOST where it was not reached."""
        reached = [4 + n for n, value in enumerate(self.ious) if value >= wanted]
        return reached[0] if reached else MOST

    def to_finish(self, wanted: float) -> float:
        """Return the seconds to a finished object of that IoU."""
        reached = [n for n, value in enumerate(self.ious) if value >= wanted]
        corrections = reached[0] if reached else len(self.ious) - 1
        each = self.seconds / len(self.ious)
        spent = EXTREME_SECONDS + corrections * CORRECTION_SECONDS + (corrections + 1) * each
        return spent if reached else spent + POLYGON_SECONDS


def work(method: Method, target: Target, *, most: int = MOST, enough: float = 0.9) -> Work:
    """Click until the object is good enough: each time the middle of the largest error."""
    positive, negative = four_points(target.mask), np.zeros((0, 2))
    ious: list[float] = []
    seconds = 0.0
    while True:
        began = time.process_time()
        found = method(target, positive, negative)
        seconds += time.process_time() - began
        ious.append(iou(found, target.mask))
        if ious[-1] >= enough or 4 + len(ious) > most:
            return Work(tuple(ious), seconds)
        click = next_click(target.mask, found)
        if click is None:
            return Work(tuple(ious), seconds)
        point, inside = click
        if inside:
            positive = np.concatenate([positive, [point]])
        else:
            negative = np.concatenate([negative, [point]])
