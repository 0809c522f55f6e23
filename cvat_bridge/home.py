"""The folder where the bridge keeps its state, and what lies where in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Told of a long step: what it is at, steps done, steps in all.
Report = Callable[[str, int, int], None]


def quiet(stage: str, done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True)
class Home:
    """Paths under the home folder; made when first written to."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The ledger's file."""
        return self.path / "ledger.db"

    @property
    def images(self) -> Path:
        """Original image files, by sha256."""
        return self.path / "images"

    @property
    def snapshots(self) -> Path:
        """Datasets in COCO form, by fingerprint."""
        return self.path / "snapshots"

    @property
    def annotations(self) -> Path:
        """Raw annotations of finished jobs, as last read."""
        return self.path / "annotations"

    @property
    def predictions(self) -> Path:
        """Predictions, by image content and model."""
        return self.path / "predictions"
