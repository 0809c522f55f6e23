"""The history of predictions on an image, so that a correction starts from the visible mask.

CVAT sends all clicks with every call, but no mask. The history provides three things: the mask that
a further click corrects, which positive clicks were corrections (they never become extreme points
when another click is removed), and the last mask whose clicks were unambiguous.
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
_MOST = 48  # predictions stored, of all images
_COMMON = EXTREME - 1  # clicks that a call shares with an earlier one on the same object


@dataclass(frozen=True)
class Clicks:
    """The clicks of one call; duplicate positive ones are kept, as each may be an extreme point."""

    positive: tuple[Click, ...]
    negative: frozenset[Click]
    box: tuple[float, ...] | None

    @classmethod
    def of(cls, positive: Points, negative: Points, box: Box | None) -> Clicks:
        """Return the clicks of a call in a canonical order."""
        return cls(
            tuple(sorted((float(x), float(y)) for x, y in positive)),
            frozenset((float(x), float(y)) for x, y in negative),
            None if box is None else tuple(float(v) for v in box),
        )

    @property
    def count(self) -> int:
        """Return the number of clicks."""
        return len(self.positive) + len(self.negative)

    def follow(self, other: Clicks) -> bool:
        """Return whether these clicks include the other ones."""
        return (
            self.box == other.box
            and set(other.positive) <= set(self.positive)
            and other.negative <= self.negative
        )


@dataclass(frozen=True)
class PastAnswer:
    """An earlier prediction. corrections: the positive clicks after the first prediction.

    frame: (4,) the box of the first clicks; the mask may extend beyond it only at later positive
    clicks.
    """

    clicks: Clicks
    candidate: Candidate
    corrections: frozenset[Click]
    frame: NDArray[np.float64] | None


class ClickHistory:
    """The last predictions, a fixed number; thread-safe.

    An image is identified by its array, by weak reference. A writable array has no history, since
    it could have changed.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._kept: deque[tuple[weakref.ref[RGBImage], PastAnswer]] = deque(maxlen=most)
        self._lock = threading.Lock()

    def keep(self, pixels: RGBImage, answer: PastAnswer) -> None:
        """Store a prediction on an image."""
        if pixels.flags.writeable:
            return
        with self._lock:
            again = [held() is pixels and a.clicks == answer.clicks for held, a in self._kept]
            if any(again):
                del self._kept[again.index(True)]
            self._kept.append((weakref.ref(pixels), answer))

    def on(self, pixels: RGBImage) -> list[PastAnswer]:
        """Return the predictions on an image, the latest first."""
        if pixels.flags.writeable:
            return []
        with self._lock:
            found = [answer for held, answer in self._kept if held() is pixels]
        return found[::-1]


def answer_to_correct(answers: list[PastAnswer], clicks: Clicks) -> PastAnswer | None:
    """Return the prediction that these clicks correct, the one with most of them, or None."""
    followed = [answer for answer in answers if clicks.follow(answer.clicks)]
    return max(followed, key=lambda answer: answer.clicks.count, default=None)


def last_clear_answer(answers: list[PastAnswer], clicks: Clicks) -> PastAnswer | None:
    """Return the prediction to show when removing a click makes the others ambiguous.

    That is the case when fewer than four positive clicks are not corrections: a corrective click
    says nothing about the object's extent. None when the clicks are unambiguous.
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
    """Return the prediction before contradictory clicks, or None.

    The extra click is the one without a prediction; the mask before it stays.
    """
    return answer_to_correct(answers, Clicks.of(positive, negative, box))
