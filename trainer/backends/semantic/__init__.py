"""Masks without instances: DeepLabV3 and LR-ASPP of torchvision, one mask a class and region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.bundle import Bundle
from trainer.dataset import Dataset
from trainer.detector import Backend, FitConfig, Progress


@dataclass(frozen=True)
class SemanticBackend:
    """The Backend of this package; see trainer.detector.Backend and settings.Settings."""

    name: str = "semantic"
    tasks: frozenset[str] = frozenset({"masks"})

    def check(self, config: FitConfig) -> None:
        """Refuse settings that cannot be used; see trainer.detector.Backend."""
        from trainer.backends.semantic.settings import read_settings

        read_settings(config)

    def fit(
        self,
        dataset: Dataset,
        config: FitConfig,
        *,
        run_dir: Path,
        report: Callable[[Progress], None],
    ) -> Path:
        """Learn; a file named "stop" in run_dir ends the fit early with a usable checkpoint."""
        from trainer.backends.semantic.fit import fit

        return fit(dataset, config, run_dir=run_dir, report=report)

    def export(self, checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
        """Write the bundle that trainer.engines.semantic runs."""
        from trainer.backends.semantic.export import export

        return export(checkpoint, destination, card=card)


BACKEND: Backend = SemanticBackend()
