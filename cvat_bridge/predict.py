"""The model reads the pool: candidates and an embedding for every frame, remembered."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.facts import Facts, PoolFrame
from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.progress import Report, quiet
from cvat_bridge.settings import RoundSettings
from trainer.detector import Detector

DESCRIPTOR = "descriptor"  # the model name of a cold start: embeddings only


@dataclass(frozen=True)
class Predicted:
    """What a pass over the pool did. frames: usable ones, by rising key order of the pool.

    cached: of these, how many were known already. skipped: broken frames and why, by key.
    """

    model: str
    frames: tuple[PoolFrame, ...]
    cached: int
    skipped: dict[str, str]


def predict(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    detector: Detector | None,
    model: str = DESCRIPTOR,
    report: Report = quiet,
) -> Predicted:
    """Predict every frame of facts.pool that the cache does not hold.

    detector None (with model DESCRIPTOR) is a cold start: an embedding from the image alone.
    """
    raise NotImplementedError
