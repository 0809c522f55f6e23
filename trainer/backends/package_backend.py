"""A backend made of one package: its modules settings, fit and export, imported on first use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig, Progress


@dataclass(frozen=True)
class PackageBackend:
    """A Backend, see trainer.detector, of one package.

    package: its dotted name. Its modules have settings.read_settings, fit.fit and export.export;
    only settings is free of torch, so checking a config does not load torch.
    """

    package: str
    tasks: frozenset[str]

    @property
    def name(self) -> str:
        """The package's own name, by which a configuration selects it."""
        return self.package.rpartition(".")[2]

    def check(self, config: FitConfig) -> None:
        """Reject settings that cannot be used; see Backend."""
        self._part("settings").read_settings(config)

    def fit(
        self,
        dataset: Dataset,
        config: FitConfig,
        *,
        run_dir: Path,
        report: Callable[[Progress], None],
    ) -> Path:
        """Train; a file named "stop" in run_dir ends the fit early with a usable checkpoint."""
        fitted = self._part("fit").fit(dataset, config, run_dir=run_dir, report=report)
        return cast("Path", fitted)

    def export(self, checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
        """Write the bundle that the engine of the package's models runs."""
        return cast("Bundle", self._part("export").export(checkpoint, destination, card=card))

    def _part(self, module: str) -> Any:
        return import_module(f"{self.package}.{module}")
