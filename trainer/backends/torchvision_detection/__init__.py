"""torchvision's detectors by name: Faster R-CNN, RetinaNet, FCOS, and Mask R-CNN for masks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.bundle import Bundle
from trainer.dataset import Dataset
from trainer.detector import Backend, FitConfig, Progress


@dataclass(frozen=True)
class TorchvisionDetectionBackend:
    """The Backend of this package; see trainer.detector.Backend and settings.Settings."""

    name: str = "torchvision_detection"
    tasks: frozenset[str] = frozenset({"boxes", "masks"})

    def check(self, config: FitConfig) -> None:
        """Refuse settings that cannot be used; see trainer.detector.Backend."""
        from trainer.backends.torchvision_detection.settings import read_settings

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
        from trainer.backends.torchvision_detection.fit import fit

        return fit(dataset, config, run_dir=run_dir, report=report)

    def export(self, checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
        """Write the bundle that trainer.engines.torchvision_detection runs."""
        from trainer.backends.torchvision_detection.export import export

        return export(checkpoint, destination, card=card)


BACKEND: Backend = TorchvisionDetectionBackend()
