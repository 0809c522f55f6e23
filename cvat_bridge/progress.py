"""How a long step tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

# What it is at, how many are done, how many there are.
Report = Callable[[str, int, int], None]


def quiet(stage: str, done: int, total: int) -> None:
    """Tell nobody."""
