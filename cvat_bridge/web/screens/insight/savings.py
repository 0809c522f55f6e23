"""The screen *Savings*."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cvat_bridge.ledger import Ledger
from cvat_bridge.savings.query import Savings, savings
from cvat_bridge.thresholds.proposed import ProposedThreshold, proposed_thresholds
from cvat_bridge.web.sites import Site


@dataclass(frozen=True)
class SavingsScreen:
    """What pre-annotation saves, and the thresholds that would save most."""

    savings: Savings
    thresholds: tuple[ProposedThreshold, ...]

    @property
    def to_use(self) -> tuple[ProposedThreshold, ...]:
        """The thresholds that differ from those in use."""
        return tuple(
            row
            for row in self.thresholds
            if row.score is not None and (row.now is None or abs(row.now - row.score) >= 0.005)
        )


_KEPT: dict[int, tuple[object, SavingsScreen]] = {}  # by project
_LOCK = threading.Lock()


def savings_screen(site: Site) -> SavingsScreen:
    """Return the screen; computed again only when a record that it rests on changed."""
    ledger = site.parts.ledger
    mark = (site.config, _state(ledger), site.parts.home.root)
    with _LOCK:
        kept = _KEPT.get(site.id)
        if kept is None or kept[0] != mark:
            shown = SavingsScreen(
                savings(site.config, site.parts.home, ledger),
                proposed_thresholds(site.config, ledger),
            )
            kept = _KEPT[site.id] = (mark, shown)
        return kept[1]


def _state(ledger: Ledger) -> object:
    """Return what changes whenever the screen would: counts of corrections, and the small rows."""
    rounds = [(row.number, row.state, row.ended) for row in ledger.rounds()]
    return (
        ledger.people.corrections_mark(),
        ledger.people.efforts(),
        ledger.people.threshold_choices(),
        ledger.labels(),
        tuple(rounds),
    )
