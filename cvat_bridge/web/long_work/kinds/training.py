"""A training, as `cvat-bridge train` does it: stopped and kept, resumed, compared at its end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from cvat_bridge.config import TrainerSection
from cvat_bridge.errors import BridgeError, NothingToDoError
from cvat_bridge.ledger import Ledger
from cvat_bridge.training.choice import TrainingChoice, TrainingPart
from cvat_bridge.training.fitting import FitFailedError
from cvat_bridge.training.manual import run_folder
from cvat_bridge.training.whole import Learnt, TrainingData, learn, prepare
from cvat_bridge.web.long_work.kinds.comparing import compared
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.long_work.works import Do, Ended, Handle
from cvat_bridge.web.sites import Site
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.errors import TrainerError
from trainer.runs.run_folder import STOP, reopen, stop_fit
from trainer.runs.small_files import read_json


def choice_of(request: Mapping[str, Any]) -> TrainingChoice:
    """Return what a request learns from and tests on."""
    return TrainingChoice(_part(request["train"]), _part(request["test"]), request["share"])


def training(site: Site) -> Do:
    """Return what does it."""

    def do(work: Work, handle: Handle) -> Ended:
        asked, home = work.request, site.parts.home
        run = run_folder(home, str(asked["name"]))
        if "data" in work.made:
            data = TrainingData.from_json(work.made["data"])
        else:
            data = _prepared(site, work, handle)
            handle.remember({"data": data.to_json()})
        if handle.halt.is_set():
            return Ended({}, stopped=True)
        if (run / "fit" / STOP).exists():
            reopen(run)
        learnt, gains = _learnt(site, work, data, handle)
        stopped = (run / "fit" / STOP).exists()
        version = learnt.version
        made: dict[str, Any] = {
            "version": version.number,
            "key": version.key,
            "bundle": version.bundle,
            "kept": learnt.kept,
            "seconds": learnt.fitted.seconds,
            "evaluation": learnt.fitted.evaluation,
            "gains": gains,
        }
        handle.remember(made)
        return Ended({"against": _against(site, learnt, data, handle)}, stopped=stopped)

    return do


def _prepared(site: Site, work: Work, handle: Handle) -> TrainingData:
    parts = site.parts
    return prepare(
        parts.gateway,
        parts.ledger,
        site.id,
        choice_of(work.request),
        home=parts.home,
        settings=parts.settings,
        now=parts.now(),
        report=handle.report,
    )


def _learnt(
    site: Site, work: Work, data: TrainingData, handle: Handle
) -> tuple[Learnt, list[Mapping[str, Any]]]:
    """Fit and register; the gains over the base are those that the fit told."""
    parts, gains = site.parts, list[Mapping[str, Any]]()
    run = run_folder(parts.home, str(work.request["name"]))
    asked = False

    def told(event: Mapping[str, Any]) -> None:
        nonlocal asked
        if event.get("event") == "done":
            gains.extend(event.get("gains") or ())
        if handle.stop.is_set() and not asked:
            asked = stop_fit(run)

    def opened() -> AbstractContextManager[Ledger]:
        return nullcontext(parts.ledger)

    try:
        learnt = learn(
            data,
            TrainerSection.of(work.request["settings"]),
            name=str(work.request["name"]),
            project_id=site.id,
            home=parts.home,
            registry=parts.registry,
            ledger=opened,
            mlflow=parts.registry.tracking_uri,
            report=handle.report,
            told=told,
            halt=handle.closing,
        )
    except FitFailedError as error:
        raise BridgeError(f"the training ended without a model: {error.message}") from error
    if not gains:  # it had ended before: it tells nothing again
        gains += (read_json(run / "gains.json") or {}).get("gains", [])
    return learnt, gains


def _against(site: Site, learnt: Learnt, data: TrainingData, handle: Handle) -> Mapping[str, Any]:
    """Compare with the model that serves on the test frames, or say why not: {"why": sentence}."""
    parts = site.parts
    try:
        champion = parts.registry.champion(learnt.version.key)
        if champion is None:
            return {"why": "No model serves yet, so there is none to compare it with."}
        if champion.bundle == learnt.version.bundle:
            return {"why": "It is the very model that serves."}
        values = compared(
            site,
            read_bundle(champion.path),
            read_bundle(learnt.version.path),
            load_dataset(data.dataset),
            report=handle.report,
        )
    except (NothingToDoError, TrainerError) as error:
        return {"why": f"It was not compared with the model that serves: {error}."}
    return {**values, "number": champion.number}


def _part(values: Mapping[str, Any]) -> TrainingPart:
    return TrainingPart(tuple(values["tasks"]), tuple(values["jobs"]), tuple(values["subsets"]))


def run_of(site: Site, work: Work) -> Path:
    """Return the folder of the fit of a training."""
    return run_folder(site.parts.home, str(work.request["name"]))
