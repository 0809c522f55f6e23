"""Finished jobs → a snapshot in COCO form; only what changed is read again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cvat_bridge.facts import Facts
from cvat_bridge.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.progress import Report, quiet
from cvat_bridge.settings import RoundSettings
from trainer.dataset import Dataset


@dataclass(frozen=True)
class Skipped:
    """Something left out of the snapshot: a frame ("task/frame"), label or object, and why."""

    what: str
    reason: str


@dataclass(frozen=True)
class Pulled:
    """A snapshot. dataset.path is its folder, dataset.fingerprint its name.

    train, holdout: images on each side. fetched: images that had to be downloaded. read: jobs
    whose annotations had to be read. skipped: what is missing and why.
    """

    dataset: Dataset
    train: int
    holdout: int
    fetched: int
    read: int
    skipped: tuple[Skipped, ...]


def pull(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    home: Home,
    settings: RoundSettings,
    now: Callable[[], str],
    report: Report = quiet,
) -> Pulled:
    """Bring the finished jobs home as a snapshot and record them as used.

    now: gives the time in ISO 8601. Broken images and objects that cannot be learnt from are
    named in `skipped`. Raises NothingToDoError without a finished job, LabelMismatchError when
    the project has no label that can be learnt, GatewayError, LedgerError, DatasetError.
    """
    raise NotImplementedError
