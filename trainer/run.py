"""One fit from dataset to evaluated bundle, in a folder that can be gone on with.

<out>/request.json       what was asked; another request in the same folder is refused
<out>/fit/               the backend's own state and checkpoint
<out>/bundle/            what serves
<out>/evaluation.json    the exported model on frames it did not learn from
<out>/result.json        written last: the fit is finished
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.backends import backend
from trainer.bundle import Bundle, read_bundle, with_metrics
from trainer.dataset import Dataset, load_dataset
from trainer.detector import FitConfig, Progress
from trainer.engines import load, load_interactor
from trainer.errors import BundleError, ConfigError, TrainingError
from trainer.evaluate import evaluate
from trainer.interactor_gate import measure
from trainer.scores import Evaluation

STOP = "stop"  # a file of this name in the backend's folder ends the fit after the step at work
_EVALUATED = ("holdout", "test", "val")  # in this order: val may have stopped the fit
_FREE = ("device", "workers", "time_limit")  # these may differ when a fit is gone on with


@dataclass(frozen=True)
class Outcome:
    """What a fit left.

    evaluation: None when the dataset has no part to evaluate on, and for an interactor, whose
    figures are on the card. seconds: wall clock of the last
    go, 0 when it was finished before.
    """

    checkpoint: Path
    bundle: Bundle
    evaluation: Evaluation | None
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, without the frames of the evaluation."""
        figures = None if self.evaluation is None else figures_of(self.evaluation)
        return {
            "checkpoint": str(self.checkpoint),
            "bundle": str(self.bundle.path),
            "version": self.bundle.version,
            "evaluation": figures,
            "seconds": round(self.seconds, 2),
        }


def run_fit(
    data: Path,
    config: FitConfig,
    out: Path,
    *,
    name: str = "",
    split: str = "auto",
    report: Callable[[Progress], None],
) -> Outcome:
    """Fit, export and evaluate; go on with what a killed process left in out.

    data: a folder in COCO form. name: of the bundle's card. split: what to evaluate on; "auto"
    takes the first of holdout, test and val that has frames, "none" leaves it out. A finished
    out is returned at once. Raises ConfigError when out holds another request, TrainingError
    when another process works in it, and whatever reading and learning raise.
    """
    began = time.monotonic()
    dataset = load_dataset(data)
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with _alone(out, config.backend):
        _check_request(out, data, dataset, config, name)
        finished = _finished(out)
        if finished is not None:
            return finished
        learner = backend(config.backend)
        checkpoint = learner.fit(dataset, config, run_dir=out / "fit", report=report)
        report(Progress("export", 0, 1))
        bundle = _export(learner.export, checkpoint, out / "bundle", name)
        report(Progress("export", 1, 1))
        evaluation = None
        if bundle.card.task == "interactor":
            bundle = _clicked(bundle, dataset, split, report)
        else:
            evaluation = _evaluate(bundle, dataset, split, report)
        if evaluation is not None:
            _write(out / "evaluation.json", evaluation.to_json())
            bundle = with_metrics(bundle, figures_of(evaluation))
        outcome = Outcome(checkpoint, bundle, evaluation, time.monotonic() - began)
        _write(out / "result.json", {"checkpoint": str(checkpoint.relative_to(out))})
    return outcome


def stop_fit(out: Path) -> bool:
    """Ask a running fit to end after the step at work and keep what it learnt.

    Returns whether there was anything to stop; a finished fit has nothing.
    """
    if (out / "result.json").exists() or not (out / "request.json").exists():
        return False
    (out / "fit").mkdir(exist_ok=True)
    (out / "fit" / STOP).touch()
    return True


def read_request(out: Path) -> tuple[Path, FitConfig, str]:
    """Return the data, config and name that out was begun with; ConfigError when it was not."""
    values = _read(out / "request.json")
    if values is None:
        raise ConfigError([f"{out} holds no fit to go on with; begin one with `trainer fit`"])
    config = dict(values["config"])
    config["image_size"] = tuple(config["image_size"])
    config["base"] = None if config["base"] is None else Path(config["base"])
    return Path(values["data"]), FitConfig(**config), values["name"]


def reopen(out: Path) -> None:
    """Take back a stop, so that run_fit goes on learning where it ended."""
    for path in (out / "result.json", out / "evaluation.json", out / "fit" / STOP):
        path.unlink(missing_ok=True)
    shutil.rmtree(out / "bundle", ignore_errors=True)


def figures_of(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's figures without its frames, as JSON values."""
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
        # A process that was killed between export and result may have learnt a little less.
        shutil.rmtree(destination)
        return export(checkpoint, destination, card=card)


def _evaluate(
    bundle: Bundle, dataset: Dataset, split: str, report: Callable[[Progress], None]
) -> Evaluation | None:
    present = [s for s in _EVALUATED if dataset.split(s)]
    if split == "none" or (split == "auto" and not present):
        return None
    return evaluate(
        load(bundle),
        dataset,
        split=present[0] if split == "auto" else split,
        task="masks" if bundle.card.task == "masks" else "boxes",
        report=report,
    )


def _clicked(
    bundle: Bundle, dataset: Dataset, split: str, report: Callable[[Progress], None]
) -> Bundle:
    """Add an interactor's IoU at four points to its card."""
    present = [s for s in _EVALUATED if dataset.split(s)]
    if split == "none" or (split == "auto" and not present):
        return bundle
    wanted = present[0] if split == "auto" else split
    found = measure(
        load_interactor(bundle),
        dataset,
        split=wanted,
        told=lambda done, total: report(Progress("evaluate", done, total)),
    )
    if not len(found.ious):
        return bundle
    return with_metrics(bundle, {"iou4": found.mean, "objects": len(found.ious), "split": wanted})


def _finished(out: Path) -> Outcome | None:
    result = _read(out / "result.json")
    if result is None:
        return None
    known = _read(out / "evaluation.json")
    evaluation = None if known is None else Evaluation.from_json(known)
    return Outcome(out / result["checkpoint"], read_bundle(out / "bundle"), evaluation, 0.0)


def _check_request(out: Path, data: Path, dataset: Dataset, config: FitConfig, name: str) -> None:
    plain = dataclasses.asdict(config) | {
        "base": None if config.base is None else str(config.base.resolve()),
        "image_size": list(config.image_size),
        "extra": dict(config.extra),
    }
    request = {
        "data": str(data.resolve()),
        "name": name,
        "dataset": dataset.fingerprint,
        "config": json.loads(json.dumps(plain)),
    }
    before = _read(out / "request.json")
    if before is None:
        _write(out / "request.json", request)
        return
    differ = [
        f"{key} was {before['config'].get(key)!r}, now {value!r}"
        for key, value in request["config"].items()
        if key not in _FREE and before["config"].get(key) != value
    ]
    if before["dataset"] != request["dataset"]:
        differ.append(f"the dataset was {before['dataset'][:12]}, now {dataset.fingerprint[:12]}")
    if differ:
        raise ConfigError([f"{out} holds another fit; use a new folder", *differ])


@contextmanager
def _alone(out: Path, name: str) -> Iterator[None]:
    """Hold the folder; the lock falls with the process, however it ends."""
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(name, f"another process is learning in {out}") from None
        yield


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ConfigError([f"{path} is not JSON: {error}"]) from error


def _write(path: Path, values: Mapping[str, Any]) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=1), encoding="utf-8")
    part.replace(path)
