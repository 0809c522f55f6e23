"""Steps 2 to 4: finished jobs become a snapshot, a challenger is learnt, the better one serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.loop.deciding import decide_champion
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.recording import open_appearance, recorder
from cvat_bridge.loop.results import DecideResult, FitResult, PullResult, Results
from cvat_bridge.loop.trust.current import situation, trust_now
from cvat_bridge.loop.trust.explanation import explain, explain_to_annotators
from cvat_bridge.loop.trust.starting_weights import (
    REFUSED,
    StartingModel,
    starting_model,
    without_refused,
)
from cvat_bridge.models.publishing import LABEL_IDS
from cvat_bridge.models.repair import intact_champion
from cvat_bridge.models.serving import serve_champion
from cvat_bridge.pull.pull import pull
from cvat_bridge.store.artefacts import SNAPSHOTS, keep_folder
from cvat_bridge.store.checkpoints import kept_checkpoints
from cvat_bridge.training.fitting import FitFailedError, Fitted, run_fit
from cvat_bridge.training.micro_model import learn_interactor
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import load_dataset
from trainer.runs.provenance import source_of, with_provenance

log = structlog.get_logger("round")

# What the trainer says of data it cannot learn from: the round goes on without a challenger.
NOT_ENOUGH = frozenset({"DatasetError"})


def pull_step(parts: Parts, number: int, _: Results) -> PullResult:
    """2. Finished jobs become a snapshot."""
    try:
        pulled = pull(
            parts.gateway,
            parts.ledger,
            parts.gather(),
            home=parts.home,
            settings=parts.settings,
            now=parts.now,
            number=number,
            report=parts.report,
        )
    except NothingToDoError as nothing:
        return PullResult(reason=str(nothing))
    keep_folder(parts.blobs, SNAPSHOTS, pulled.dataset.path)
    with open_appearance(parts) as appearance:
        recorder(parts, number, appearance).finished(pulled.dataset)
    return PullResult(
        dataset=str(pulled.dataset.path),
        fingerprint=pulled.dataset.fingerprint,
        train=pulled.train,
        holdout=pulled.holdout,
        fetched=pulled.fetched,
        skipped=tuple(asdict(item) for item in pulled.skipped),
    )


def fit_step(parts: Parts, number: int, done: Results) -> FitResult:
    """3. A challenger is learnt, where there is enough to learn from."""
    pulled, least = done.pull, parts.config.trainer.min_frames
    if pulled.dataset is None or pulled.train < least:
        reason = f"{pulled.train} frames to train on, {least} are needed"
        return FitResult(reason=reason)
    begun = starting_model(parts.registry, parts.key, parts.config.trainer, number=number)
    dataset = parts.dataset(pulled.dataset, pulled.fingerprint)
    try:
        fitted, begun = _fit(parts, number, dataset, pulled.fingerprint, begun)
    except FitFailedError as failure:
        if failure.kind not in NOT_ENOUGH:
            raise
        return FitResult(reason=failure.message)
    bundle = with_provenance(
        read_bundle(fitted.bundle),
        {
            "project": parts.config.project_id,
            "round": number,
            "strategy": parts.settings.selection.strategy,
            "jobs": _jobs(dataset),
            "config": parts.config.hash,
        },
    )
    labels = {label.name: label.id for label in parts.labels()}
    version = parts.registry.register(
        parts.key,
        bundle,
        params={"round": number, "config": parts.config.hash},
        tags={
            "dataset": pulled.fingerprint,
            LABEL_IDS: json.dumps(labels),
            "strategy": parts.settings.selection.strategy,
        },
    )
    return FitResult(str(version.path), version.bundle, began=begun.to_json())


def _fit(
    parts: Parts, number: int, dataset: Path, fingerprint: str, begun: StartingModel
) -> tuple[Fitted, StartingModel]:
    """Fit from where it begins; where that model is refused, as the first fit began."""
    name, settings = f"round-{number}-{fingerprint[:12]}", parts.config.trainer

    def fit(folder: str, base: Path | None) -> Fitted:
        run_dir = parts.home.runs / folder
        elsewhere = parts.spread and parts.spread.fit(
            settings,
            fingerprint=fingerprint,
            run=folder,
            name=f"{parts.key} round {number}",
            base=base,
            experiment=parts.key,
            report=parts.report,
            on_event=parts.learning,
        )
        if elsewhere:
            return elsewhere
        with kept_checkpoints(parts.blobs, f"{parts.key}/{folder}", run_dir, base=base):
            return run_fit(
                dataset,
                settings.here,
                run_dir=run_dir,
                name=f"{parts.key} round {number}",
                base=base,
                report=parts.report,
                mlflow=parts.registry.tracking_uri,
                experiment=parts.key,
                on_event=parts.learning,
            )

    try:
        return fit(name, begun.weights), begun
    except FitFailedError as failure:
        if begun.version is None or failure.kind not in REFUSED:
            raise
        begun = without_refused(begun, failure.message, settings)
    log.warning("fit began anew", round=number, why=begun.words)
    # A folder of its own: a run's folder holds one request for good.
    return fit(f"{name}-anew", begun.weights), begun


def _jobs(dataset: Path) -> list[dict[str, Any]]:
    """Return the jobs of the snapshot: number, task, and the date of what was read in CVAT."""
    return list(source_of(load_dataset(dataset)).get("jobs", ()))


def decide_step(parts: Parts, number: int, done: Results) -> DecideResult:
    """4. Champion and challenger on the same frames; the better one serves."""
    champion, problem = intact_champion(parts.registry, parts.key)
    if problem:
        log.warning("champion", round=number, why=problem)
    fitted, pulled = done.fit, done.pull
    dataset = parts.dataset(pulled.dataset, pulled.fingerprint) if pulled.dataset else None
    promoted = False
    reasons: tuple[str, ...] = (fitted.reason,)
    figures: Mapping[str, Any] = {"champion": None, "challenger": None, "class_ap": None}
    if fitted.bundle and not pulled.holdout:
        reasons = ("no labelled holdout frame: the challenger cannot be judged",)
    elif fitted.bundle and dataset:
        with open_appearance(parts) as appearance:
            decision = decide_champion(
                parts.ledger,
                number=number,
                champion=champion,
                challenger=parts.registry.show(parts.key, fitted.version),
                dataset=dataset,
                gate=parts.config.promotion,
                seed=parts.config.trainer.seed,
                now=parts.now,
                report=parts.report,
                observer=recorder(parts, number, appearance).holdout,
            )
        promoted, reasons, figures = decision.promoted, decision.reasons, decision.figures
        for version, measured in (
            (decision.champion, figures["champion"]),
            (decision.challenger, figures["challenger"]),
        ):
            if version and measured:
                parts.registry.measured(parts.key, version, measured, step=number)
        if promoted:
            champion = parts.registry.promote(parts.key, fitted.version, reasons=reasons)
    if champion is not None:
        serve_champion(parts.gateway, parts.config, parts.home, champion)
    interactor = _learn_interactor(parts, number, dataset)
    if champion is not None and interactor is not None and interactor["promoted"]:
        # The masks of the champion's boxes are made by the interactor that serves from now on.
        serve_champion(parts.gateway, parts.config, parts.home, champion)
    serves = champion.bundle if champion else None
    trust = trust_now(parts.ledger, parts.registry, parts.key, parts.config, serves)
    now = situation(
        parts.ledger,
        parts.config,
        trust,
        number=number,
        dataset=None if dataset is None else str(dataset),
        bundle=fitted.bundle,
        challenger=figures["challenger"],
        reason="" if figures.get("usefulness") else reasons[0],
    )
    why = explain(now)
    log.info("decided", round=number, serves=serves, trust=trust.level, why=" ".join(why))
    return DecideResult(
        promoted=promoted,
        reasons=reasons,
        serves=serves,
        trust=trust,
        explanation=tuple(why),
        for_annotators=explain_to_annotators(
            now, pre_annotation=parts.config.pre_annotation.enabled
        ),
        interactor=interactor,
        figures=figures,
    )


def _learn_interactor(parts: Parts, number: int, dataset: Path | None) -> dict[str, Any] | None:
    """Let the extreme-points tool learn from the same snapshot, behind a gate of its own."""
    if dataset is None or not parts.config.interactor.learn:
        return None
    learnt = learn_interactor(
        dataset,
        number=number,
        project_key=parts.key,
        project_name=parts.gateway.project(parts.config.project_id).name,
        registry=parts.registry,
        home=parts.home,
        store=parts.functions,
        time_limit=parts.config.interactor.time_limit,
        seed=parts.config.trainer.seed,
        device=parts.config.trainer.here.device,
        report=parts.report,
        on_event=parts.learning,
    )
    return learnt.to_json()
