"""Blind spots and failures, from what was recorded alone: no call to CVAT, no model."""

from __future__ import annotations

from cvat_bridge.blindspots.types import BlindSpots, Failures, RecordedModel
from cvat_bridge.home import Home
from cvat_bridge.judged.judgements import Source
from cvat_bridge.ledger import Ledger

CONFIDENCE = 0.95


def recorded_models(ledger: Ledger) -> tuple[RecordedModel, ...]:
    """Give every model and source that there are matches of, the newest first; () for none."""
    raise NotImplementedError


def blind_spots(
    home: Home,
    ledger: Ledger,
    *,
    model: str,
    source: Source,
    threshold: float | None = None,
    confidence: float = CONFIDENCE,
    most: int = 30,
) -> BlindSpots:
    """Give the page of a model: slices worst first, confusion, overall figures.

    threshold: answers below it do not count, None for the model's own. most: slices at most.
    Raises NothingToDoError when nothing of this model and source is recorded, LedgerError.
    """
    raise NotImplementedError


def failures(
    home: Home,
    ledger: Ledger,
    *,
    model: str,
    source: Source,
    where: str = "",
    truth: str | None = None,
    answer: str | None = None,
    threshold: float | None = None,
    start: int = 0,
    count: int = 48,
) -> Failures:
    """Give the failures of a slice (where: its key) or of a cell of the confusion matrix.

    truth, answer: class names, "" for nothing, None for any; a cell on the diagonal gives the
    objects that were found. Raises NothingToDoError as blind_spots does, ValueError for a key or
    class that is not known.
    """
    raise NotImplementedError
