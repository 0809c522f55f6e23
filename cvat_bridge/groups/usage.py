"""What was trained and judged on the frames of a group."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.evaluations.table import read_evaluation
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import AssetGroup
from trainer.data.snapshot_forms import read_manifest
from trainer.errors import DatasetError


@dataclass(frozen=True)
class Usage:
    """A model that learnt from, or was judged on, frames of a group.

    how: "trained" or "judged". round: in which, 0 outside of rounds. frames: of the group's.
    """

    model: str
    how: str
    round: int
    frames: int
    note: str


def usage_of(home: Home, ledger: Ledger, group: AssetGroup) -> tuple[Usage, ...]:
    """Return which models were trained and judged on frames of a group, newest round first.

    By the content of the images, so that copies count. Raises LedgerError.
    """
    # Frames that were not read yet when the group was made may have been since.
    unread = [key for key, sha in zip(group.frames, group.images, strict=True) if not sha]
    read = {row.sha256 for row in ledger.frames_of(unread).values() if row.sha256}
    own = read | {sha for sha in group.images if sha}
    found = []
    learnt = {row.round: row.challenger for row in ledger.decisions()}
    for row in ledger.rounds():
        version, snapshot = learnt.get(row.number), row.figures.get("dataset")
        if version and snapshot:
            count = len(own & _trained_on(home.snapshots / Path(str(snapshot)).name))
            if count:
                found.append(Usage(version, "trained", row.number, count, ""))
    for judged in ledger.judgements():
        count = len(own & _judged_on(home.judged, judged.file))
        if count:
            found.append(Usage(judged.model, "judged", judged.round, count, judged.source))
    return tuple(sorted(found, key=lambda one: (-one.round, one.how, one.model)))


@functools.lru_cache(maxsize=64)
def _trained_on(snapshot: Path) -> frozenset[str]:
    """Return the content of the images that a snapshot gives to training; it never changes."""
    try:
        rows: Iterable[dict[str, str]] = read_manifest(snapshot)["images"]
    except DatasetError:
        return frozenset()  # swept, or of an earlier version: what it held is not known any more
    return frozenset(row["sha256"] for row in rows if row.get("split") in ("train", "val"))


@functools.lru_cache(maxsize=64)
def _judged_on(folder: Path, file: str) -> frozenset[str]:
    return frozenset(map(str, read_evaluation(folder, file).frames.image.tolist()))
