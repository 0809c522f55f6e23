"""One piece of work that a person asked for, and its file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cvat_bridge.frames.originals import write_atomically

State = Literal["waiting", "working", "stopping", "stopped", "done", "failed"]
UNDER_WAY: tuple[State, ...] = ("waiting", "working", "stopping")
KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Step:
    """What a person did with it. what: "asked", "stopped" or "resumed". at: ISO 8601."""

    at: str
    who: str
    what: str


@dataclass(frozen=True)
class Work:
    """A request and what became of it.

    key: 32 hex digits of the form that asked; the same key is the same work. request: JSON values.
    made: what it led to so far, JSON values; also what a later attempt goes on with. problem: why
    it failed. stage, done, total: of the step under way, 0 of 0 where it does not count.
    """

    key: str
    kind: str
    project: int
    request: Mapping[str, Any]
    history: tuple[Step, ...]
    state: State = "waiting"
    made: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    stage: str = ""
    done: int = 0
    total: int = 0

    @property
    def who(self) -> str:
        """Who asked for it."""
        return self.history[0].who

    @property
    def asked(self) -> str:
        """When it was asked for."""
        return self.history[0].at

    @property
    def is_under_way(self) -> bool:
        """Whether it waits for its turn or is being done."""
        return self.state in UNDER_WAY

    @property
    def share(self) -> float | None:
        """How far it is, 0..1; None where that is not known."""
        return min(1.0, self.done / self.total) if self.total > 0 else None


def keep(folder: Path, work: Work) -> None:
    """Write the file of a piece of work, readable by this user alone."""
    path = folder / f"{work.key}.json"
    write_atomically(path, json.dumps(asdict(work)).encode())
    path.chmod(0o600)


def read(path: Path) -> Work | None:
    """Read it back; None where there is no such file."""
    try:
        held = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return Work(**{**held, "history": tuple(Step(**row) for row in held["history"])})
