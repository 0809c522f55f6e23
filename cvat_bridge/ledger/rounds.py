"""The record of a round in the ledger, written here alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round


def note_state(
    ledger: Ledger, number: int, project_id: int, state: str, *, waits_for: str = ""
) -> None:
    """Note where a round stands; begin its record where it has none."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    row = _known(ledger, number) or Round(number, project_id, state, started=now)
    ended = now if state == "done" else ""
    ledger.save_round(replace(row, state=state, waits_for=waits_for, ended=ended))


def note_figures(ledger: Ledger, number: int, figures: Mapping[str, Any]) -> None:
    """Add to what `status` and reports show of a round that was begun."""
    row = _known(ledger, number)
    if row is not None and figures:
        ledger.save_round(replace(row, figures={**row.figures, **figures}))


def _known(ledger: Ledger, number: int) -> Round | None:
    return next((row for row in ledger.rounds() if row.number == number), None)
