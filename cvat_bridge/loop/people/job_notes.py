"""What to look at in a job and how long it takes, in the words of those who annotate. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_DOUBTED = 0.75  # an object drawn in advance below this is worth a question
_NAMED = 4  # frames that a job's note names; the others are like the rest


@dataclass(frozen=True)
class FrameView:
    """A frame of a job as the model left it.

    drawn: label → lowest score of its objects that are drawn in advance. suspected: label →
    highest score of its objects that are not. seconds: of a person, None where unknown.
    """

    frame: int
    drawn: Mapping[str, float] = field(default_factory=dict)
    suspected: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class JobNote:
    """What people should know of a job. frames: all that it holds. seconds: None where unknown."""

    frames: int
    look_at: str
    seconds: float | None

    def to_json(self) -> dict[str, object]:
        """Return plain JSON values, for a round's figures."""
        return {"frames": self.frames, "look_at": self.look_at, "seconds": self.seconds}


def note(views: Sequence[FrameView], *, frames: int) -> JobNote:
    """Return what to look at in a job of `frames` frames, and how long it should take.

    views: of its frames, in their order. Frame numbers are those that the editor shows.
    """
    seconds = [view.seconds for view in views]
    known = [one for one in seconds if one is not None]
    total = sum(known) if len(known) == len(seconds) == frames else None
    return JobNote(frames, _look_at(views), None if total is None else round(total, 1))


def in_minutes(seconds: float | None) -> str:
    """Return how long something takes, as a person would."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return "under 1 min"
    return f"about {math.ceil(seconds / 60 - 0.25):d} min"


def _look_at(views: Sequence[FrameView]) -> str:
    if not any(view.drawn for view in views):
        rest = "Nothing is drawn yet: draw every object."
    else:
        rest = "Check what is drawn, and draw what is missing."
    asked = [(worth, question) for view in views for worth, question in [_asked(view)] if question]
    if not asked:
        return rest
    named = sorted(range(len(asked)), key=lambda place: -asked[place][0])[:_NAMED]
    return " ".join([rest, *(asked[place][1] for place in sorted(named))])


def _asked(view: FrameView) -> tuple[float, str]:
    """Return how doubtful a frame is, and what to look at in it; "" for nothing in particular."""
    doubted = {name: 1 - score for name, score in view.drawn.items() if score < _DOUBTED}
    missing = {name: score for name, score in view.suspected.items() if name not in doubted}
    questions = []
    if doubted:
        verb = "is" if len(doubted) == 1 else "are"
        questions.append(f"{verb} {_listed(sorted(doubted))} right?")
    if missing:
        questions.append(f"look for {_listed(sorted(missing))}.")
    if not questions:
        return 0.0, ""
    return max([*doubted.values(), *missing.values()]), f"Frame {view.frame}: {' '.join(questions)}"


def _listed(names: Sequence[str]) -> str:
    words = [f"“{name}”" for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
