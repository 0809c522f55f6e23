"""When people's seconds were read last, and what CVAT's analytics said."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from cvat_bridge.frames.originals import write_atomically
from cvat_bridge.home import Home

_FILE = "working-time.json"


@dataclass(frozen=True)
class Clock:
    """The last look.

    read: ISO 8601, "" before the first one. why_not: why CVAT gave no working time, "" where it
    did. own_only: whether CVAT showed the events of our own account alone.
    """

    read: str = ""
    why_not: str = ""
    own_only: bool = False


def write_clock(home: Home, clock: Clock) -> None:
    """Keep it."""
    write_atomically(home.root / _FILE, json.dumps(asdict(clock)).encode())


def read_clock(home: Home) -> Clock:
    """Return what was kept; nothing read before the first look."""
    try:
        return Clock(**json.loads((home.root / _FILE).read_bytes()))
    except FileNotFoundError:
        return Clock()
