"""The protocols that a model family implements: Detector predicts, Backend trains."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from trainer.bundles.bundle import Bundle
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage as RGBImage  # noqa: PLC0414 part of this seam
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.renamed import current_settings


class Detector(Protocol):
    """A loaded model. Safe to call from several threads; keeps no state between calls."""

    @property
    def labels(self) -> LabelMap:
        """The classes that class_ids point into."""
        ...

    def detect(self, images: Sequence[RGBImage], *, min_score: float) -> list[Detections]:
        """Return the detections of each image, in order; one batch where the model allows it.

        images: (H, W, 3) uint8 RGB of any sizes. min_score: 0..1; 0 keeps every candidate. Returns
        one Detections per image, clipped to it, sorted by falling score, with an embedding of the
        whole image where the model has one. Raises an error when it cannot look; an empty answer
        always means "nothing found".
        """
        ...


@dataclass(frozen=True)
class Progress:
    """One step of a fit, as it is reported to callers.

    done, total: steps (of epochs or batches). seconds_left: estimate, or None. figures: loss, ap,
    lr, … at this step. picture: a PNG file of sample predictions at this step. note: a sentence for
    people to read (stage "note").
    """

    stage: str
    done: int
    total: int
    seconds_left: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    picture: Path | None = None
    note: str = ""


SCHEDULES = ("cosine", "step", "constant", "restarts")
PRECISIONS = ("fp32", "bf16", "fp16")
# What a backend may choose from the data when it is not set; see FitConfig.automatic.
AUTOMATIC = frozenset(
    {"epochs", "batch_size", "learning_rate", "image_size", "schedule", "time_limit"}
)


@dataclass(frozen=True)
class FitConfig:
    """The settings that every backend shares; `extra` holds a backend's own, which it checks.

    image_size: (height, width) the network sees. time_limit: seconds of wall clock, or None. base:
    weights to start from (a bundle folder or a checkpoint), or None to train from scratch.
    schedule: of the learning rate, one of SCHEDULES; "step" multiplies it by gamma after each of
    the epochs in milestones (at two thirds and eight ninths of the fit when there are none);
    "restarts" repeats cosine cycles, each with half the peak rate of the one before, as long as the
    validation AP rises. regions_per_image: regions that a two-stage detector samples per image,
    None for its default. evaluation_period: epochs between validations, 0 for none, None for about
    ten per fit. early_stopping: patience, the number of validations without improvement before the
    fit ends, 0 for never; the best weights are kept. precision: one of PRECISIONS. device: cpu,
    cuda:0, or several: cuda:0,1. automatic: which of AUTOMATIC were not set: a backend that plans
    from the data chooses them, the others use the values here. val_share: share of the train part
    that becomes val when the dataset has none, 0 for none; see trainer.data.validation_part.
    """

    backend: str = "centernet"
    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3
    image_size: tuple[int, int] = (144, 192)
    seed: int = 7
    time_limit: float | None = None
    base: Path | None = None
    device: str = "cpu"
    workers: int = 0
    schedule: str = "cosine"
    gamma: float = 0.1
    milestones: tuple[int, ...] = ()
    regions_per_image: int | None = None
    evaluation_period: int | None = None
    early_stopping: int = 0
    precision: str = "fp32"
    extra: Mapping[str, Any] = field(default_factory=dict)
    automatic: frozenset[str] = frozenset()
    val_share: float = 0.15

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return dataclasses.asdict(self) | {
            "base": None if self.base is None else str(self.base),
            "image_size": list(self.image_size),
            "milestones": list(self.milestones),
            "extra": dict(self.extra),
            "automatic": sorted(self.automatic),
        }

    @property
    def given(self) -> dict[str, Any]:
        """Return the settings that were set, as JSON values for `trainer fit --config`."""
        unset = {*self.automatic, "automatic"}
        names = [field.name for field in dataclasses.fields(FitConfig)]
        values = self.to_json()
        return {n: values[n] for n in names if n not in unset and values[n] is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> FitConfig:
        """Return the config that to_json wrote; settings that it did not know are unset."""
        base = values.get("base")
        return cls(
            **{
                **values,
                "base": None if base is None else Path(base),
                "image_size": tuple(values["image_size"]),
                "milestones": tuple(values.get("milestones", ())),
                "automatic": frozenset(values.get("automatic", ())),
                "extra": current_settings(
                    values.get("backend", cls.backend), values.get("extra", {})
                ),
            }
        )


class Backend(Protocol):
    """One family of models: trains on a dataset and writes the bundle that serves."""

    @property
    def name(self) -> str:
        """The backend's key in BACKENDS."""
        ...

    @property
    def tasks(self) -> frozenset[str]:
        """The tasks it can train, of "boxes", "masks" and "interactor"."""
        ...

    def check(self, config: FitConfig) -> None:
        """Reject settings that cannot be used, all faults at once, before anything is loaded.

        Raises ConfigError. Reads nothing but the config: no dataset, no weights, no torch.
        """
        ...

    def fit(
        self,
        dataset: Dataset,
        config: FitConfig,
        *,
        run_dir: Path,
        report: Callable[[Progress], None],
    ) -> Path:
        """Train on the dataset's train part; return the checkpoint, written inside run_dir.

        If run_dir holds an unfinished state of the same dataset and config, training resumes from
        it. Raises DatasetError when there is too little to train on and TrainingError when training
        fails.
        """
        ...

    def export(self, checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
        """Write the bundle (ONNX, so that serving needs no torch) into the folder destination.

        checkpoint: what fit returned, or the folder of a bundle of this backend that holds its
        weights. Raises BundleError for anything else.
        """
        ...
