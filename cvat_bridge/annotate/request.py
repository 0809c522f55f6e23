"""What a person asked to be annotated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cvat_bridge.errors import ConfigError


@dataclass(frozen=True)
class AnnotationRequest:
    """What a person asked for.

    Exactly one of task_id and project_id. job_ids: only these jobs, empty for all that are not
    finished. frames: inclusive ranges of task-relative numbers, empty for all. min_score: 0..1,
    None leaves it to the model. only_empty: frames without any object alone. mapped: class → CVAT
    label, "" leaves a class out. known_only: classes that CVAT lacks are left out.
    Raises ConfigError with every fault.
    """

    task_id: int | None = None
    project_id: int | None = None
    job_ids: tuple[int, ...] = ()
    frames: tuple[tuple[int, int], ...] = ()
    min_score: float | None = None
    only_empty: bool = False
    mapped: Mapping[str, str] = field(default_factory=dict)
    known_only: bool = False

    def __post_init__(self) -> None:
        faults = []
        if (self.task_id is None) == (self.project_id is None):
            faults.append("give either --task or --project")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            faults.append(f"--min-score must lie in 0..1, found {self.min_score}")
        if self.frames and self.task_id is None:
            faults.append("--frames numbers the frames of one task: give --task with it")
        if faults:
            raise ConfigError(faults)

    def holds(self, frame: int) -> bool:
        """Return whether a frame was asked for."""
        return not self.frames or any(first <= frame <= last for first, last in self.frames)


def parse_frames(text: str) -> tuple[tuple[int, int], ...]:
    """Read `0-99,150` into inclusive ranges; ConfigError for other text."""
    ranges = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        found = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", part)
        if not found or int(found[2] or found[1]) < int(found[1]):
            raise ConfigError([f"--frames takes numbers and ranges like 0-99,150, found {part!r}"])
        ranges.append((int(found[1]), int(found[2] or found[1])))
    return tuple(ranges)
