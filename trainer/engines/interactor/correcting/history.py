"""The answers given on an image, so that a correction corrects the mask that people see.

CVAT sends all clicks with every call and no mask. What was answered before tells three things: the
mask that a further click corrects, which positive clicks were corrections (they never become
extreme points when another marker is removed), and the last mask whose clicks were clear.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.engines.interactor.clicks import EXTREME, Box, Points
from trainer.interactor import Candidate

Click = tuple[float, float]
_MOST = 48  # answers that are kept, of all images
_COMMON = EXTREME - 1  # clicks that a call shares with an answer of the same object


@dataclass(frozen=True)
class Clicks:
    """The clicks of one call, doubled positive ones kept: each may be an extreme point."""

    positive: tuple[Click, ...]
    negative: frozenset[Click]
    box: tuple[float, ...] | None

    @classmethod
    def of(cls, positive: Points, negative: Points, box: Box | None) -> Clicks:
        """Return the clicks of a call, in an order of their own: theirs does not count."""
        return cls(
            tuple(sorted((float(x), float(y)) for x, y in positive)),
            frozenset((float(x), float(y)) for x, y in negative),
            None if box is None else tuple(float(v) for v in box),
        )

    @property
    def count(self) -> int:
        """How many clicks there are."""
        return len(self.positive) + len(self.negative)

    def follow(self, other: Clicks) -> bool:
        """Return whether these are the other ones and more."""
        return (
            self.box == other.box
            and set(other.positive) <= set(self.positive)
            and other.negative <= self.negative
        )


@dataclass(frozen=True)
class PastAnswer:
    """What was answered. corrections: the positive clicks that came after the first answer.

    frame: (4,) the box of the clicks that the mask may leave only at later positive clicks.
    """

    clicks: Clicks
    candidate: Candidate
    corrections: frozenset[Click]
    frame: NDArray[np.float64] | None


class ClickHistory:
    """The last answers, a fixed number; safe for several threads.

    An image is told by its array, which is not held. One that may be written to has no history:
    it could have changed.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._kept: deque[tuple[weakref.ref[RGBImage], PastAnswer]] = deque(maxlen=most)
        self._lock = threading.Lock()

    def keep(self, pixels: RGBImage, answer: PastAnswer) -> None:
        """Remember an answer on an image."""
        if pixels.flags.writeable:
            return
        with self._lock:
            again = [held() is pixels and a.clicks == answer.clicks for held, a in self._kept]
            if any(again):
                del self._kept[again.index(True)]
            self._kept.append((weakref.ref(pixels), answer))

    def on(self, pixels: RGBImage) -> list[PastAnswer]:
        """Return the answers on an image, the last one first."""
        if pixels.flags.writeable:
            return []
        with self._lock:
            found = [answer for held, answer in self._kept if held() is pixels]
        return found[::-1]


def answer_to_correct(answers: list[PastAnswer], clicks: Clicks) -> PastAnswer | None:
    """Return the answer that these clicks correct: the one with the most of them, or None."""
    followed = [answer for answer in answers if clicks.follow(answer.clicks)]
    return max(followed, key=lambda answer: answer.clicks.count, default=None)


def last_clear_answer(answers: list[PastAnswer], clicks: Clicks) -> PastAnswer | None:
    """Return the answer to show where a removed marker leaves it unclear what the others mean.

    That is where fewer than four of the positive clicks are no corrections: one that was made to
    repair a mask says nothing of the object's extent. None where the clicks are clear.
    """
    if clicks.box is not None:
        return None
    for answer in answers:
        shared = set(clicks.positive) & set(answer.clicks.positive)
        if len(shared) < _COMMON or not set(clicks.positive) & answer.corrections:
            continue
        first = [click for click in clicks.positive if click not in answer.corrections]
        if len(first) < EXTREME and not set(clicks.positive) - shared:
            return answer
        return None
    return None


def contradicted_answer(
    answers: list[PastAnswer], positive: Points, negative: Points, box: Box | None
) -> PastAnswer | None:
    """Return the answer that clicks follow which contradict each other, or None.

    The click too many is the one that no answer has; the mask that was there stays.
    """
    return answer_to_correct(answers, Clicks.of(positive, negative, box))
