"""The text in the name of a round's task by which a later try finds it."""

from __future__ import annotations

import re

_MARKER = re.compile(r"\[loop [0-9a-f]{8} r\d+\]")


def round_marker(ledger_id: str, number: int) -> str:
    """Name the task of a round; ledger_id keeps the rounds of two ledgers apart."""
    return f"[loop {ledger_id} r{number}]"


def is_round_task(name: str) -> bool:
    """Say whether a task of this name was made by a round (of this ledger or another)."""
    return _MARKER.search(name) is not None
