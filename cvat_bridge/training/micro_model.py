"""The interactor learns the project: a micro-model that serves where it beats the general one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cvat_bridge.config import TrainerSection
from cvat_bridge.home import Home
from cvat_bridge.masks.interactors import interactor_id
from cvat_bridge.progress import EventCallback, Report, ignore_event, quiet
from cvat_bridge.training.fitting import FitFailedError, run_fit
from serverless.store.folders import GENERAL_INTERACTOR, general_interactor, shipped
from serverless.store.functions import Entry, publish, withdraw
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.dataset import Dataset, load_dataset
from trainer.engines import load_interactor
from trainer.gate.interactor_gate import FourPointScores, decide_interactor, measure
from trainer.registry.registry import Registry, Version

GENERAL = GENERAL_INTERACTOR  # the function whose place it takes, for this project
MIN_OBJECTS = 20  # masks to learn from; fewer are learnt by heart
# A small project must not lose what the general model knows: see its blending.
TUNING: dict[str, Any] = {
    "steps": 300,
    "composed": 0.1,
    "ema": 0.98,
    "freeze_norm": True,
    "held_out": 0.2,
}
TUNING_RATE = 5e-4


@dataclass(frozen=True)
class MicroModel:
    """What a round did for the interactor of a project.

    serves: version of the project's own bundle that answers, or None while the general one does.
    iou4: IoU at four points on the holdout, of what served before and of the challenger.
    """

    promoted: bool
    serves: str | None
    reasons: tuple[str, ...]
    iou4: Mapping[str, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values for a round's answer."""
        return {**vars(self), "reasons": list(self.reasons), "iou4": dict(self.iou4)}


def key_of(project_key: str) -> str:
    """Return the registry key of a project's interactor; roll back with it as with any other."""
    return f"{project_key}-interactor"


def learn_interactor(
    dataset: Path,
    *,
    number: int,
    project_key: str,
    project_name: str,
    registry: Registry,
    home: Home,
    store: Path,
    time_limit: float | None = 600.0,
    seed: int = 7,
    confidence: float = 0.9,
    device: str = "cpu",
    report: Report = quiet,
    on_event: EventCallback = ignore_event,
) -> MicroModel:
    """Fine-tune on a pulled snapshot, judge on its holdout, publish what serves; safe to repeat.

    dataset: the snapshot's folder. Where it holds too few masks or polygons nothing is learnt
    and what served goes on serving. Raises FitFailedError when the fit crashed.
    """
    general = general_interactor()
    if general is None:
        return MicroModel(False, None, ("no general interactor ships with this build",), {})
    key = key_of(project_key)
    champion = registry.champion(key)
    data = load_dataset(dataset)
    learnt, judged = (_masks(data, split) for split in ("train", "holdout"))
    reasons: tuple[str, ...]
    figures: dict[str, float | None] = {}
    promoted = False
    if learnt < MIN_OBJECTS or not judged:
        counts = f"{learnt} masks to learn from and {judged} to judge by"
        reasons = (f"{counts}; {MIN_OBJECTS} and 1 are needed",)
    else:
        # Always from the general weights: what a project taught is taught again, from all of it.
        try:
            fitted = _fitted(
                dataset,
                data,
                general,
                number,
                key,
                home,
                time_limit,
                seed,
                device,
                report,
                on_event,
            )
        except FitFailedError as failure:
            if failure.kind != "DatasetError":
                raise
            serves = champion.bundle if champion else None
            return MicroModel(False, serves, (failure.message,), {})
        version = registry.register(key, fitted, params={"round": number})
        before = read_bundle(champion.path) if champion else general
        if champion is not None and champion.bundle == version.bundle:
            reasons = ("the same data gave the interactor that serves",)
        else:
            theirs, ours = _measured(before, data), _measured(fitted, data)
            verdict = decide_interactor(
                theirs, ours, rng=np.random.default_rng(seed), confidence=confidence
            )
            figures = {"champion": theirs.mean, "challenger": ours.mean}
            registry.measured(key, version.number, {"iou4": figures["challenger"]}, step=number)
            reasons, promoted = verdict.reasons, verdict.promoted
            if promoted:
                champion = registry.promote(key, version.bundle, reasons=reasons)
    publish_interactor(store, project_key=project_key, project_name=project_name, champion=champion)
    return MicroModel(promoted, champion.bundle if champion else None, reasons, figures)


def publish_interactor(
    store: Path, *, project_key: str, project_name: str, champion: Version | None
) -> None:
    """Make the host offer the project's own interactor, or none of its own without a champion.

    Call it again after a rollback. CVAT offers functions to everybody, so it bears the project's
    name; the general one stays for the others.
    """
    function_id = interactor_id(project_key)
    if champion is None:
        withdraw(store, function_id)
        return
    (template,) = [entry for entry in shipped() if entry.id == GENERAL]
    publish(store, _entry(template, function_id, project_name, champion))


def _entry(template: Entry, function_id: str, project_name: str, champion: Version) -> Entry:
    return replace(
        template,
        id=function_id,
        name=f"{template.name} · {project_name}",
        description=f"Version {champion.number} ({champion.bundle[:12]}), learnt in CVAT",
        bundle=champion.path,
        version=champion.bundle,
    )


def _masks(data: Dataset, split: str) -> int:
    return sum(
        not o.crowd and o.segmentation is not None for i in data.split(split) for o in i.objects
    )


def _fitted(
    dataset: Path,
    data: Dataset,
    general: Bundle,
    number: int,
    key: str,
    home: Home,
    time_limit: float | None,
    seed: int,
    device: str,
    report: Report,
    on_event: EventCallback,
) -> Bundle:
    network = general.card.settings["extra"]
    settings = TrainerSection.of(
        {
            "backend": "extreme_points",
            "batch_size": 16,
            "learning_rate": TUNING_RATE,
            "image_size": general.card.input_size,
            "seed": seed,
            "time_limit": time_limit,
            "device": device,
            "extra": {**TUNING, "width": network["width"], "backbone": network["backbone"]},
        }
    )
    fitted = run_fit(
        dataset,
        settings,
        run_dir=home.runs / f"round-{number}-interactor-{data.fingerprint[:12]}",
        name=f"{key} round {number}",
        base=general.path,
        report=report,
        on_event=on_event,
    )
    return read_bundle(fitted.bundle)


def _measured(bundle: Bundle, data: Dataset) -> FourPointScores:
    return measure(load_interactor(bundle), data)
