"""Frames of the pool that look like what the model fails on."""

from __future__ import annotations

from cvat_bridge.blindspots.types import Similar
from cvat_bridge.home import Home
from cvat_bridge.judged.judgements import Source
from cvat_bridge.ledger import Ledger
from cvat_bridge.settings import RoundSettings


def find_similar(
    home: Home,
    ledger: Ledger,
    settings: RoundSettings,
    *,
    model: str,
    source: Source,
    where: str,
    threshold: float | None = None,
    count: int = 50,
    control_share: float = 0.1,
    chosen: tuple[str, ...] = (),
) -> Similar:
    """Rank the frames of the pool as the last prediction left it; asks CVAT nothing.

    where: a slice's key, "" for all failures. chosen: numbers of single failures (Failure.number)
    to look for instead. control_share: of the count, drawn at random. Raises NothingToDoError when
    the pool was not read by this model or nothing is recorded, LedgerError.
    """
    raise NotImplementedError
