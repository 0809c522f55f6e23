"""Steps 2 to 4: finished jobs become a snapshot, a challenger is learnt, the better one serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.pull import pull
from cvat_bridge.round.deciding import settle
from cvat_bridge.round.fitting import FitFailedError, run_fit
from cvat_bridge.round.micro_model import learn_interactor
from cvat_bridge.round.parts import Parts
from cvat_bridge.round.publishing import LABEL_IDS
from cvat_bridge.round.serving import serve_champion
from cvat_bridge.round.workflow import Answer, Answers
from trainer.bundle import read_bundle
from trainer.dataset import load_dataset
from trainer.provenance import source_of, with_provenance

# What the trainer says of data it cannot learn from: the round goes on without a challenger.
NOT_ENOUGH = frozenset({"DatasetError"})


def pull_step(parts: Parts, number: int, _: Answers) -> Answer:
    """2. Finished jobs become a snapshot."""
    try:
        pulled = pull(
            parts.gateway,
            parts.ledger,
            parts.gather(),
            home=parts.home,
            settings=parts.settings,
            now=parts.now,
            report=parts.report,
        )
    except NothingToDoError as nothing:
        return {"dataset": None, "train": 0, "holdout": 0, "reason": str(nothing)}
    return parts.note(
        number,
        dataset=str(pulled.dataset.path),
        fingerprint=pulled.dataset.fingerprint,
        train=pulled.train,
        holdout=pulled.holdout,
        fetched=pulled.fetched,
        skipped=[asdict(item) for item in pulled.skipped],
    )


def fit_step(parts: Parts, number: int, answers: Answers) -> Answer:
    """3. A challenger is learnt, where there is enough to learn from."""
    pulled, least = answers["pull"], parts.config.trainer.min_frames
    if pulled["train"] < least:
        reason = f"{pulled['train']} frames to train on, {least} are needed"
        return {"bundle": None, "reason": reason}
    champion = parts.registry.champion(parts.key)
    warm = parts.config.trainer.warm_start and champion is not None
    try:
        fitted = run_fit(
            Path(pulled["dataset"]),
            parts.config.trainer,
            run_dir=parts.home.runs / f"round-{number}-{pulled['fingerprint'][:12]}",
            name=f"{parts.key} round {number}",
            base=champion.path if warm and champion else parts.config.trainer.base,
            report=parts.report,
            mlflow=parts.registry.tracking_uri,
        )
    except FitFailedError as failure:
        if failure.kind not in NOT_ENOUGH:
            raise
        return {"bundle": None, "reason": failure.message}
    bundle = with_provenance(
        read_bundle(fitted.bundle),
        {
            "project": parts.config.project_id,
            "round": number,
            "strategy": parts.settings.selection.strategy,
            "jobs": _jobs(Path(pulled["dataset"])),
            "config": parts.config.hash,
        },
    )
    labels = {label.name: label.id for label in parts.labels()}
    version = parts.registry.register(
        parts.key,
        bundle,
        params={"round": number, "config": parts.config.hash},
        tags={
            "dataset": pulled["fingerprint"],
            LABEL_IDS: json.dumps(labels),
            "strategy": parts.settings.selection.strategy,
        },
    )
    return {"bundle": str(version.path), "version": version.bundle, "reason": ""}


def _jobs(dataset: Path) -> list[dict[str, Any]]:
    """Give the jobs of the snapshot: number, task, and the date of what was read in CVAT."""
    return list(source_of(load_dataset(dataset)).get("jobs", ()))


def decide_step(parts: Parts, number: int, answers: Answers) -> Answer:
    """4. Champion and challenger on the same frames; the better one serves."""
    champion = parts.registry.champion(parts.key)
    fitted, pulled = answers["fit"], answers["pull"]
    promoted = False
    reasons: tuple[str, ...] = (fitted["reason"],)
    figures: Mapping[str, Any] = {"champion": None, "challenger": None, "class_ap": None}
    if fitted["bundle"] and not pulled["holdout"]:
        reasons = ("no labelled holdout frame: the challenger cannot be judged",)
    elif fitted["bundle"]:
        decision = settle(
            parts.ledger,
            number=number,
            champion=champion,
            challenger=parts.registry.show(parts.key, fitted["version"]),
            dataset=Path(pulled["dataset"]),
            settings=parts.config.promotion,
            seed=parts.config.trainer.seed,
            now=parts.now,
            report=parts.report,
        )
        promoted, reasons, figures = decision.promoted, decision.reasons, decision.figures
        if promoted:
            champion = parts.registry.promote(parts.key, fitted["version"], reasons=reasons)
    if champion is not None:
        serve_champion(parts.gateway, parts.config, parts.home, champion)
    interactor = _learn_interactor(parts, number, pulled["dataset"])
    if champion is not None and interactor is not None and interactor["promoted"]:
        # The masks of the champion's boxes are made by the interactor that serves from now on.
        serve_champion(parts.gateway, parts.config, parts.home, champion)
    return parts.note(
        number,
        promoted=promoted,
        reasons=list(reasons),
        serves=champion.bundle if champion else None,
        interactor=interactor,
        **figures,
    )


def _learn_interactor(parts: Parts, number: int, dataset: str | None) -> Answer | None:
    """Let the extreme-points tool learn from the same snapshot, behind a gate of its own."""
    if dataset is None or not parts.config.interactor.learn:
        return None
    learnt = learn_interactor(
        Path(dataset),
        number=number,
        project_key=parts.key,
        project_name=parts.gateway.project(parts.config.project_id).name,
        registry=parts.registry,
        home=parts.home,
        store=parts.functions,
        time_limit=parts.config.interactor.time_limit,
        seed=parts.config.trainer.seed,
        device=parts.config.trainer.device,
        report=parts.report,
    )
    return learnt.to_json()
