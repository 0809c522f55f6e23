"""How a replay learns: the product's default, or the same heads on features that stay as they are.

A way is told apart by what it would do, so that fits kept on disk are found again.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from trainer.backends import backend
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import Dataset
from trainer.data.validation_part import with_validation_part
from trainer.detector import AUTOMATIC, Detector, FitConfig
from trainer.engines import load

BATCH = 8


@dataclass(frozen=True)
class Steps:
    """How long a fit is: every labelled frame is seen so often, within bounds.

    A fit that is as long for ten frames as for two hundred learns the ten by heart and the two
    hundred hardly at all, and then more labels look worthless.
    """

    passes: float = 40.0
    least: int = 200
    most: int = 3000

    def of(self, frames: int) -> int:
        """Return the batches of BATCH for so many labelled frames."""
        return min(max(math.ceil(self.passes * frames / BATCH), self.least), self.most)


class Way(Protocol):
    """Learns from a dataset's train part, and gives the detector that came out."""

    @property
    def told(self) -> str:
        """How it learns, in words."""
        ...

    @property
    def key(self) -> Sequence[Any]:
        """What its fits depend on, beside the frames and the seed, as JSON values."""
        ...

    def fit(self, dataset: Dataset, folder: Path, *, seed: int) -> None:
        """Learn, and leave in the folder what `open` reads."""
        ...

    def open(self, folder: Path, dataset: Dataset) -> Detector:
        """Return the detector that a fit left."""
        ...


@dataclass(frozen=True)
class Product:
    """The product's default backend by its default settings, with a limit of steps.

    size: (height, width) of the input, None for the backend's own choice.
    """

    steps: Steps
    size: tuple[int, int] | None = None

    @property
    def told(self) -> str:
        """See Way."""
        size = "the input of its choice" if self.size is None else f"{self.size[0]}x{self.size[1]}"
        return f"centernet by its defaults, {size}; {_told(self.steps)}"

    @property
    def key(self) -> Sequence[Any]:
        """See Way."""
        return ["product", self.size, _key(self.steps)]

    def fit(self, dataset: Dataset, folder: Path, *, seed: int) -> None:
        """See Way."""
        shutil.rmtree(folder / "bundle", ignore_errors=True)
        # Seconds are no limit here: they would make a figure hang on who else uses the machine.
        free = AUTOMATIC - {"time_limit", "batch_size"} - ({"image_size"} if self.size else set())
        config = FitConfig(
            backend="centernet",
            seed=seed,
            batch_size=BATCH,
            automatic=frozenset(free),
            extra={"steps": self.steps.of(len(dataset.split("train")))},
        )
        if self.size is not None:
            config = replace(config, image_size=self.size)
        learner = backend(config.backend)
        whole = with_validation_part(dataset, config.val_share)
        checkpoint = learner.fit(whole, config, run_dir=folder / "fit", report=lambda _: None)
        learner.export(checkpoint, folder / "bundle", card={"name": "replay"})
        shutil.rmtree(folder / "fit", ignore_errors=True)

    def open(self, folder: Path, dataset: Dataset) -> Detector:
        """See Way."""
        return load(read_bundle(folder / "bundle"), threads=1)


def _told(steps: Steps) -> str:
    return (
        f"each labelled frame seen {steps.passes:g} times, in {steps.least} to {steps.most} "
        f"batches of {BATCH}"
    )


def _key(steps: Steps) -> list[float]:
    return [steps.passes, steps.least, steps.most, BATCH]
