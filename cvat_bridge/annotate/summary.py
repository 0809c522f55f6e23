"""What a run did, for people and machines."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class SkippedFrame:
    """A frame that could not be annotated, and why."""

    task_id: int
    frame: int
    name: str
    problem: str


@dataclass
class AnnotationSummary:
    """What a run did.

    frames: looked at now. objects: written now, by_label too. done: frames that were done before.
    occupied: frames left alone because they have objects (only_empty). seconds: of the work, by
    the clock and of this process's processors.
    unmatched: classes that are not written, and why; unwritten: how many objects of each were
    found. maskless: boxes of each class that were to become masks and are not written, since
    nothing was found in them. doubled: objects of each label that are not written, since one of
    that label stands in their place already, whoever brought it. stopped: it was told to, and the
    rest is still due.
    """

    frames: int = 0
    objects: int = 0
    done: int = 0
    occupied: int = 0
    by_label: Counter[str] = field(default_factory=Counter)
    left_out: list[SkippedFrame] = field(default_factory=list)
    left_alone: dict[int, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)
    unwritten: Counter[str] = field(default_factory=Counter)
    maskless: Counter[str] = field(default_factory=Counter)
    doubled: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    processor_seconds: float = 0.0
    stopped: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        rate = self.frames / self.seconds if self.seconds else 0.0
        return {
            **vars(self),
            "by_label": dict(self.by_label),
            "unwritten": dict(self.unwritten),
            "maskless": dict(self.maskless),
            "doubled": dict(self.doubled),
            "left_out": [asdict(one) for one in self.left_out],
            "left_alone": self.left_alone,
            "frames_per_second": round(rate, 2),
        }
