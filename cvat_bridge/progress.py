"""How a long step tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

# What it is at, how many are done, how many there are.
Report = Callable[[str, int, int], None]
# An event of a fit, with its figures: see trainer.events.
EventCallback = Callable[[Mapping[str, Any]], None]


def quiet(stage: str, done: int, total: int) -> None:
    """Tell nobody."""


def ignore_event(event: Mapping[str, Any]) -> None:
    """Tell nobody."""
