"""A training by hand from beginning to end, in two steps: what to learn from, and learning.

Between the two all that the second one needs is plain values, so that it can go on in another
process after a stop or a kill.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cvat_bridge.config import TrainerSection
from cvat_bridge.cvat.gateway import Gateway
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Membership
from cvat_bridge.models.serving import project_key
from cvat_bridge.progress import EventCallback, Report, ignore_event, quiet
from cvat_bridge.settings import RoundSettings
from cvat_bridge.training.choice import TrainingChoice
from cvat_bridge.training.fitting import Fitted, run_fit
from cvat_bridge.training.manual import keep_held, register, run_folder, snapshot
from trainer.registry.registry import Registry
from trainer.registry.versions import Version


@dataclass(frozen=True)
class TrainingData:
    """What a training learns from and is tested on.

    dataset: folder of the snapshot. train, test: frames. left_out: sentences. labels: the project's
    label ids by name. held: test frames that a person named, which stay test frames from then on.
    """

    dataset: Path
    fingerprint: str
    train: int
    test: int
    left_out: tuple[str, ...]
    labels: Mapping[str, int]
    held: tuple[Membership, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self) | {"dataset": str(self.dataset)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> TrainingData:
        """Read what to_json wrote."""
        held = tuple(Membership(**row) for row in values["held"])
        plain = {**values, "dataset": Path(values["dataset"]), "held": held}
        return cls(**{**plain, "left_out": tuple(values["left_out"])})


@dataclass(frozen=True)
class Learnt:
    """What a training led to. kept: test frames that are new to the holdout."""

    fitted: Fitted
    version: Version
    kept: int


def prepare(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    choice: TrainingChoice,
    *,
    home: Home,
    settings: RoundSettings,
    now: str,
    report: Report = quiet,
) -> TrainingData:
    """Pull the chosen parts as a dataset; see by_hand.snapshot, which also says what is raised."""
    pulled = snapshot(
        gateway,
        ledger,
        project_id,
        choice,
        home=home,
        settings=settings,
        now=now,
        report=report,
    )
    return TrainingData(
        dataset=pulled.dataset.path,
        fingerprint=pulled.dataset.fingerprint,
        train=pulled.train,
        test=pulled.holdout,
        left_out=tuple(f"{row.what}: {row.reason}" for row in pulled.skipped),
        labels={label.name: label.id for label in gateway.labels(project_id=project_id)},
        held=tuple(pulled.held) if choice.test else (),
    )


def learn(
    data: TrainingData,
    settings: TrainerSection,
    *,
    name: str,
    project_id: int,
    home: Home,
    registry: Registry,
    ledger: Callable[[], AbstractContextManager[Ledger]] | None,
    mlflow: str,
    report: Report = quiet,
    told: EventCallback = ignore_event,
    halt: threading.Event | None = None,
) -> Learnt:
    """Fit, keep the test part for tests, and give what was learnt a number among the models.

    ledger: opens that of the loop; None where the project has no loop here. halt: see run_fit.
    Raises FitFailedError, RegistryError, LedgerError.
    """
    fitted = run_fit(
        data.dataset,
        settings,
        run_dir=run_folder(home, name),
        name=name,
        base=settings.base,
        report=report,
        on_event=told,
        split="auto",
        mlflow=mlflow,
        experiment=project_key(project_id),
        halt=halt,
    )
    kept = 0
    if data.held and ledger is not None:
        with ledger() as opened:
            kept = keep_held(opened, data.held)
    version = register(
        registry,
        project_id,
        fitted.bundle,
        run=name,
        dataset=data.fingerprint,
        labels=data.labels,
    )
    return Learnt(fitted, version, kept)
