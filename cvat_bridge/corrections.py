"""What people did to the pre-annotations of finished jobs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cvat_bridge.facts import Facts
from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class Tally:
    """Counts of one label, model or round.

    proposed = kept + nudged + relabelled + redrawn + deleted; added: objects the model missed.
    """

    proposed: int = 0
    kept: int = 0
    nudged: int = 0
    relabelled: int = 0
    redrawn: int = 0
    deleted: int = 0
    added: int = 0


@dataclass(frozen=True)
class Corrected:
    """jobs: those compared now. total, by_label, by_model: counts over all jobs compared."""

    jobs: tuple[int, ...]
    total: Tally
    by_label: Mapping[str, Tally]
    by_model: Mapping[str, Tally]


def collect_corrections(
    gateway: Gateway, ledger: Ledger, facts: Facts, *, home: Home, settings: RoundSettings
) -> Corrected:
    """Compare the proposals of every finished job with its final objects and record it."""
    raise NotImplementedError


def tally(ledger: Ledger, *, number: int | None = None) -> Corrected:
    """Count the corrections recorded (for the jobs of a round)."""
    raise NotImplementedError
