"""The YOLO family through ultralytics (AGPL-3.0, so an optional extra): boxes and masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.bundle import Bundle
from trainer.dataset import Dataset
from trainer.detector import Backend, FitConfig, Progress


@dataclass(frozen=True)
class YoloBackend:
    """The Backend of this package; see trainer.detector.Backend and settings.Settings."""

    name: str = "yolo"
    tasks: frozenset[str] = frozenset({"boxes", "masks"})

    def check(self, config: FitConfig) -> None:
        """Refuse settings that cannot be used; see trainer.detector.Backend."""
        from trainer.backends.yolo.settings import read_settings

        read_settings(config)

    def fit(
        self,
        dataset: Dataset,
        config: FitConfig,
        *,
        run_dir: Path,
        report: Callable[[Progress], None],
    ) -> Path:
        """Learn; a file named "stop" in run_dir ends the fit early with a usable checkpoint.

        config.base: a bundle of this backend, or an ultralytics .pt. The latter is a pickle that
        runs what it holds: only from people you trust.
        """
        from trainer.backends.yolo.fit import fit

        return fit(dataset, config, run_dir=run_dir, report=report)

    def export(self, checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
        """Write the bundle that trainer.engines.yolo runs."""
        from trainer.backends.yolo.export import export

        return export(checkpoint, destination, card=card)


BACKEND: Backend = YoloBackend()
