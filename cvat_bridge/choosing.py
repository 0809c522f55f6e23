"""Which frames a round takes: the pool as active_learning wants it, its choice as we record it."""

from __future__ import annotations

from dataclasses import dataclass

from active_learning.pool import ProjectState
from cvat_bridge.facts import Facts
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.predict import Predicted
from cvat_bridge.records import SelectedFrame
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class Chosen:
    """A round's choice, best first. duplicates: pool frames left out since we have their image."""

    frames: tuple[SelectedFrame, ...]
    strategy: str
    phase: str
    advice: str
    notes: dict[str, str]
    duplicates: int


def choose_frames(
    ledger: Ledger,
    facts: Facts,
    predicted: Predicted,
    *,
    number: int,
    home: Home,
    settings: RoundSettings,
    state: ProjectState,
    record: bool = True,
) -> Chosen:
    """Choose the frames of round `number` and record them (record False: only look).

    A round that has chosen already gives the same answer. Raises NothingToDoError on an empty
    pool.
    """
    raise NotImplementedError
