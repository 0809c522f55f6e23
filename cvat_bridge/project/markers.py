"""The text in the name of a round's task by which a later try finds it."""

from __future__ import annotations

import re

_MARKER = re.compile(r"\[loop [0-9a-f]{8} [rp]\d+\]")


def round_marker(ledger_id: str, number: int) -> str:
    """Name the task of a round; ledger_id keeps the rounds of two ledgers apart.

    number: negative for a task that a person asked for (see ledger.records.Request).
    """
    return f"[loop {ledger_id} {'r' if number >= 0 else 'p'}{abs(number)}]"


def is_round_task(name: str) -> bool:
    """Say whether a round, or a wish, made a task of this name (of this ledger or another)."""
    return _MARKER.search(name) is not None
