"""The text in the name of a round's task by which a later try finds it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARKER = re.compile(r"\[loop ([0-9a-f]{8}) ([rp])(\d+)\]")


@dataclass(frozen=True)
class RoundMark:
    """Whose round made a task.

    loop: the identity of its ledger. number: of the round; negative for a task that a person asked
    for (see ledger.records.Request).
    """

    loop: str
    number: int


def round_marker(ledger_id: str, number: int) -> str:
    """Name the task of a round; ledger_id keeps the rounds of two ledgers apart.

    number: negative for a task that a person asked for (see ledger.records.Request).
    """
    return f"[loop {ledger_id} {'r' if number >= 0 else 'p'}{abs(number)}]"


def mark_of(name: str) -> RoundMark | None:
    """Read the mark in a task's name; None where no round made it."""
    found = _MARKER.search(name)
    if found is None:
        return None
    return RoundMark(found[1], int(found[3]) * (1 if found[2] == "r" else -1))


def is_round_task(name: str) -> bool:
    """Return whether a round, or a wish, made a task of this name (of this ledger or another)."""
    return mark_of(name) is not None
