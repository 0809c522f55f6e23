"""Champion and challenger on the same frames; the decision is recorded before it takes effect."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Decision
from cvat_bridge.loop.unseen_holdout import unseen_part
from cvat_bridge.progress import Report, quiet
from cvat_bridge.pull.learned_objects import file_name_of
from trainer.bundles.bundle import Bundle, read_bundle
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.leakage import find_leaks
from trainer.detections import Detections
from trainer.detector import Progress
from trainer.engines import load
from trainer.evaluation.evaluate import evaluate_predictions, predict
from trainer.gate.promote import GateSettings, decide, groups_of
from trainer.gate.usefulness import Usefulness, usefulness
from trainer.registry.registry import Version
from trainer.scores import Evaluation

PredictionObserver = Callable[[Bundle, Dataset, Sequence[Detections]], None]


def decide_champion(
    ledger: Ledger,
    *,
    number: int,
    champion: Version | None,
    challenger: Version,
    dataset: Path,
    gate: GateSettings,
    seed: int,
    now: Callable[[], str],
    report: Report = quiet,
    observer: PredictionObserver | None = None,
) -> Decision:
    """Decide whether the challenger of round `number` may serve.

    witness: gets every model with its answers on the holdout frames, to record them.

    A decision that is recorded already stands: a step that was killed after it does not evaluate
    a promoted challenger against itself. Raises TrainerError when a model cannot be evaluated.
    """
    for row in ledger.decisions():
        if row.round == number and row.challenger == challenger.bundle:
            return row
    data = load_dataset(dataset)
    known = fingerprints_of(ledger, data)
    notes: tuple[str, ...] = ()
    left_out = 0
    if champion is not None and champion.bundle != challenger.bundle:
        unseen = unseen_part(data, champion.path, known=known)
        data, notes, left_out = unseen.dataset, unseen.notes, len(unseen.left_out)
        if left_out == unseen.held:
            return _unjudged(ledger, number, champion, challenger, notes, now)
    leakage = find_leaks(data, known=known)
    task = _task(data, challenger.path, *([champion.path] if champion else []))
    ours = _evaluate(challenger.path, data, task, report, observer)
    verdict: Mapping[str, Any] = {"leakage": leakage.to_json()}
    groups = groups_of(data, "holdout")
    if champion is not None and champion.bundle == challenger.bundle:
        theirs: Evaluation | None = ours
        promoted = False
        reasons: tuple[str, ...] = ("the same data and settings gave the model that serves",)
    else:
        theirs = _evaluate(champion.path, data, task, report, observer) if champion else None
        judged = decide(
            theirs,
            ours,
            gate,
            rng=np.random.default_rng(seed),
            groups=groups,
            leakage=leakage,
        )
        promoted, reasons = judged.promoted, (*judged.reasons, *notes)
        verdict = {**judged.figures, "champion_learnt_from": left_out}
    best = ours if promoted or theirs is None else theirs
    leaks = leakage.share > gate.max_leak_share
    found = (
        Usefulness.from_json(verdict["usefulness"])
        if "usefulness" in verdict
        else usefulness(best, gate, rng=np.random.default_rng(seed), groups=groups)
    )
    model = champion.bundle if champion and not promoted else challenger.bundle
    decision = Decision(
        round=number,
        champion=champion.bundle if champion else "",
        challenger=challenger.bundle,
        promoted=promoted,
        reasons=reasons,
        figures={
            "champion": _figures(theirs),
            "challenger": _figures(ours),
            "class_ap": dict(best.overall.class_ap),
            # Of the model that reads the pool from now on; a leaking holdout tells nothing of it.
            "usefulness": None if leaks else {"model": model, **found.to_json()},
            "gate": dict(verdict),
        },
        decided=now(),
    )
    ledger.save_decision(decision)
    return decision


def _unjudged(
    ledger: Ledger,
    number: int,
    champion: Version,
    challenger: Version,
    notes: tuple[str, ...],
    now: Callable[[], str],
) -> Decision:
    """Record that no holdout frame is left which the champion did not learn from."""
    advice = (
        "The champion stays, since no honest frame is left to compare on: finish jobs with frames "
        "that are new to it, or put a new task into a holdout subset."
    )
    figures = {"champion": None, "challenger": None, "class_ap": None, "usefulness": None}
    decision = Decision(
        round=number,
        champion=champion.bundle,
        challenger=challenger.bundle,
        promoted=False,
        reasons=(advice, *notes),
        figures=figures,
        decided=now(),
    )
    ledger.save_decision(decision)
    return decision


def fingerprints_of(ledger: Ledger, data: Dataset) -> dict[str, str]:
    """Return file name → difference hash of the frames the ledger knows; none is read again."""
    named = {
        file_name_of(row): row.perceptual for row in ledger.frames().values() if not row.problem
    }
    return {i.file_name: named[i.file_name] for i in data.images if i.file_name in named}


def _task(dataset: Dataset, *paths: Path) -> str:
    """By what both are judged: by masks only where both give them and all of the truth has them."""
    drawn = all(o.segmentation is not None for i in dataset.split("holdout") for o in i.objects)
    tasks = {read_bundle(path, verify=False).card.task for path in paths}
    return "masks" if drawn and tasks == {"masks"} else "boxes"


def _evaluate(
    path: Path, dataset: Dataset, task: str, report: Report, observer: PredictionObserver | None
) -> Evaluation:
    def on_progress(progress: Progress) -> None:
        report(progress.stage, progress.done, progress.total)

    bundle, began = read_bundle(path), time.monotonic()
    detector = load(bundle)
    answers = predict(detector, dataset, split="holdout", report=on_progress)
    seconds, names = time.monotonic() - began, tuple(detector.labels)
    if observer is not None:
        observer(bundle, dataset, answers)
    return evaluate_predictions(
        answers, dataset, split="holdout", task=task, names=names, seconds=seconds
    )


def _figures(evaluation: Evaluation | None) -> dict[str, Any] | None:
    return {"ap": evaluation.ap, "ap50": evaluation.ap50} if evaluation else None
