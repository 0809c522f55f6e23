"""Run a fit from dataset to evaluated bundle, resumable; see run_folder."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer.backends import backend
from trainer.backends.devices import device_faults
from trainer.backends.fit_checks import data_faults, is_device, output_faults
from trainer.bundles.bundle import Bundle, read_bundle, with_metrics
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.dataset_checks import dataset_notes, evaluation_split
from trainer.data.validation_part import with_validation_part
from trainer.detector import Backend, FitConfig, Progress
from trainer.engines import load, load_interactor
from trainer.errors import BundleError, ConfigError, DatasetError
from trainer.evaluation.evaluate import evaluate
from trainer.evaluation.mean_iou import of_pixels
from trainer.events import EventLog
from trainer.gate.interactor_gate import measure
from trainer.runs.calibrating import calibrate
from trainer.runs.gain import Gain, check_scratch, over_base, over_scratch
from trainer.runs.provenance import provenance_of, with_provenance
from trainer.runs.run_folder import (
    STOP,
    Report,
    check_disk_space,
    check_request,
    locked,
    record_failure,
    recording,
)
from trainer.runs.small_files import read_json, write_json
from trainer.runs.tracking import Tracker
from trainer.scores import Evaluation


@dataclass(frozen=True)
class FitResult:
    """The result of a fit.

    evaluation: None when the dataset has no split to evaluate on, and for an interactor, whose
    metrics are in the card. seconds: wall-clock time of the last run, 0 if the fit was already
    finished. gains: of a fit with a base, see trainer.runs.gain.
    """

    checkpoint: Path
    bundle: Bundle
    evaluation: Evaluation | None
    seconds: float
    gains: tuple[Gain, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the frames of the evaluation."""
        figures = None if self.evaluation is None else figures_of(self.evaluation)
        return {
            "checkpoint": str(self.checkpoint),
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "evaluation": figures,
            "gains": [gain.to_json() for gain in self.gains],
            "seconds": round(self.seconds, 2),
        }


def run_fit(
    data: Path,
    config: FitConfig,
    out: Path,
    *,
    name: str = "",
    split: str = "auto",
    against_scratch: bool = False,
    report: Report,
    tracker: Callable[[], Tracker] | None = None,
) -> FitResult:
    """Fit, export and evaluate; resume from what a killed process left in out.

    data: a folder in COCO format. name: of the bundle's card. split: to evaluate on; "auto" takes
    the first of holdout, test and val that has frames, "none" skips the evaluation. If out is
    finished, its result is returned at once. against_scratch: train a second time without the base,
    to measure its benefit. tracker: starts to send metrics to MLflow. Raises ConfigError before
    anything is read when settings are invalid, and when out contains another request, TrainingError
    when another process uses it, and whatever reading and training raise; a failure is recorded in
    out.
    """
    learner = backend(config.backend)
    _check(learner, data, config, out, split, against_scratch=against_scratch)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with locked(out, config.backend):
        try:
            dataset = load_dataset(data)
            notes = dataset_notes(dataset, split)
        except DatasetError as error:
            record_failure(out, error)
            raise
        check_request(out, data, dataset, config, name)
        finished = _finished_result(out)
        if finished is not None:
            return finished
        with recording(out, config, report, tracker) as on_progress:
            check_disk_space(out, config.backend)
            events = EventLog(out)
            events.write("begun", {"data": str(data), "name": name, "backend": config.backend})
            for note in notes:
                on_progress(Progress("note", 0, 0, note=note))
            outcome = _run(
                learner, dataset, config, out, name=name, split=split, on_progress=on_progress
            )
            if (out / "fit" / STOP).exists():
                stopped = f"stopped before its end; continue with `trainer resume {out}`"
                on_progress(Progress("note", 0, 0, note=stopped))
            if config.base is not None and outcome.evaluation is not None:
                gains = _gains(learner, dataset, config, outcome, out, on_progress, against_scratch)
                outcome = replace(outcome, gains=gains)
            write_json(
                out / "result.json", {"checkpoint": str(outcome.checkpoint.relative_to(out))}
            )
            events.write("done", outcome.to_json())
    return outcome


def _check(
    learner: Backend, data: Path, config: FitConfig, out: Path, split: str, *, against_scratch: bool
) -> None:
    """Raise ConfigError with all faults, before anything is read."""
    faults: list[str] = []
    try:
        learner.check(config)
    except ConfigError as error:
        faults += error.faults
    try:
        if against_scratch:
            check_scratch(config.base)
    except ConfigError as error:
        faults += error.faults
    if is_device(config.device):
        faults += device_faults(config)
    faults += output_faults(out, split)
    if faults:
        # On its own it is a DatasetError, raised by reading.
        raise ConfigError([*faults, *data_faults(data)])


def _run(
    learner: Backend,
    dataset: Dataset,
    config: FitConfig,
    out: Path,
    *,
    name: str,
    split: str,
    on_progress: Report,
) -> FitResult:
    began = time.monotonic()
    trained_on = dataset
    if "boxes" in learner.tasks or "masks" in learner.tasks:
        trained_on = with_validation_part(dataset, config.val_share)
    checkpoint = learner.fit(trained_on, config, run_dir=out / "fit", report=on_progress)
    on_progress(Progress("export", 0, 1))
    bundle = _export(learner.export, checkpoint, out / "bundle", name)
    bundle = with_provenance(bundle, provenance_of(dataset, config))
    on_progress(Progress("export", 1, 1))
    if bundle.card.task != "interactor":
        bundle = calibrate(bundle, trained_on, on_progress)
    evaluation, part = None, evaluation_split(dataset, split)
    if part is not None and bundle.card.task == "interactor":
        bundle = _with_click_scores(bundle, dataset, part, on_progress)
    elif part is not None:
        task = "masks" if bundle.card.task == "masks" else "boxes"
        evaluation = evaluate(
            load(bundle),
            dataset,
            split=part,
            task=task,
            pixels=of_pixels(bundle.card),
            report=on_progress,
        )
        write_json(out / "evaluation.json", evaluation.to_json())
        bundle = with_metrics(bundle, figures_of(evaluation))
    return FitResult(checkpoint, bundle, evaluation, time.monotonic() - began)


def _gains(
    learner: Backend,
    dataset: Dataset,
    config: FitConfig,
    outcome: FitResult,
    out: Path,
    on_progress: Report,
    against_scratch: bool,
) -> tuple[Gain, ...]:
    """Return the gain over the base and, if requested, over a fit from scratch."""
    if config.base is None or outcome.evaluation is None:
        return ()
    ours = outcome.evaluation
    folder = out / "base-bundle"
    gains = [over_base(learner, config.base, ours, dataset, folder=folder, report=on_progress)]
    if against_scratch:
        bare = replace(config, base=None)
        divided = with_validation_part(dataset, config.val_share)
        checkpoint = learner.fit(divided, bare, run_dir=out / "scratch" / "fit", report=on_progress)
        bundle = _export(learner.export, checkpoint, out / "scratch" / "bundle", "from scratch")
        gains.append(over_scratch(bundle, ours, dataset, report=on_progress))
    values = [gain.to_json() for gain in gains]
    write_json(out / "gains.json", {"gains": values})
    with_metrics(outcome.bundle, {"gains": values})
    return tuple(gains)


def figures_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's metrics without its frames, as JSON values."""
    return {k: v for k, v in evaluation.to_json().items() if k != "frames"} | {
        "frames": len(evaluation.frames)
    }


def _export(
    export: Callable[..., Bundle], checkpoint: Path, destination: Path, name: str
) -> Bundle:
    card = {"name": name} if name else {}
    try:
        return export(checkpoint, destination, card=card)
    except BundleError:
        if not destination.exists():
            raise
        # The export of a process killed before the result may be from fewer training steps.
        shutil.rmtree(destination)
        return export(checkpoint, destination, card=card)


def _with_click_scores(bundle: Bundle, dataset: Dataset, split: str, on_progress: Report) -> Bundle:
    """Add an interactor's IoU at four points to its card."""
    found = measure(
        load_interactor(bundle),
        dataset,
        split=split,
        on_done=lambda done, total: on_progress(Progress("evaluate", done, total)),
    )
    if not len(found.ious):
        return bundle
    return with_metrics(bundle, {"iou4": found.mean, "objects": len(found.ious), "split": split})


def _finished_result(out: Path) -> FitResult | None:
    result = read_json(out / "result.json")
    if result is None:
        return None
    known = read_json(out / "evaluation.json")
    evaluation = None if known is None else Evaluation.from_json(known)
    gained = read_json(out / "gains.json") or {"gains": []}
    gains = tuple(Gain.from_json(values) for values in gained["gains"])
    return FitResult(
        out / result["checkpoint"], read_bundle(out / "bundle"), evaluation, 0.0, gains
    )
