"""Steps 5 to 8: the pool is read, frames are chosen, and they return to people as ranked jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from active_learning.pool import ProjectState
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.evaluations.appearance import AppearanceRecorder, AppearanceStore
from cvat_bridge.ledger.records import RankedJob
from cvat_bridge.loop.choosing import ChosenFrames, choose_frames
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.people.assignment import assign, put_in_order
from cvat_bridge.loop.people.guide_section import write_guide
from cvat_bridge.loop.people.job_notes import JobNote
from cvat_bridge.loop.people.round_notes import AssistingModel, job_notes, usual_seconds
from cvat_bridge.loop.predict import Predicted, predict, unread
from cvat_bridge.loop.prioritise import prioritise, ranked_jobs
from cvat_bridge.loop.proposals.preannotate import PreAnnotated, preannotate
from cvat_bridge.loop.recording import open_appearance, record_the_pool
from cvat_bridge.loop.results import (
    DecideResult,
    PreannotateResult,
    PredictResult,
    PrioritiseResult,
    PullResult,
    Results,
    SelectResult,
)
from cvat_bridge.loop.rounds import waiting_frames
from cvat_bridge.loop.trust.current import trust_now
from cvat_bridge.masks.making import segmenter_of
from cvat_bridge.models.publishing import LABEL_IDS
from cvat_bridge.project.facts import Facts
from cvat_bridge.queues.requests import shards
from cvat_bridge.savings.controls import control_jobs
from cvat_bridge.thresholds.round_thresholds import round_thresholds, seconds_of
from cvat_bridge.thresholds.rule import ShownFrom
from trainer.bundles.bundle import read_bundle
from trainer.bundles.shared_bundles import share_bundle
from trainer.data.dataset import load_dataset
from trainer.detector import Detector
from trainer.engines import load


def predict_step(parts: Parts, number: int, done: Results) -> PredictResult:
    """5. The model that is trusted to reads the pool; without one, an embedding is all there is."""
    facts = parts.gather()
    predicted = _predicted(parts, facts, done)
    with open_appearance(parts) as appearance:
        record_the_pool(parts, number, facts, predicted, appearance)
    return PredictResult(
        model=predicted.model or predicted.embeddings,
        predicted=len(predicted.frames),
        cached=predicted.cached,
        broken=predicted.skipped,
        embeddings=predicted.embeddings,
    )


def select_step(parts: Parts, number: int, done: Results) -> SelectResult:
    """6. The frames worth a person's time."""
    facts = parts.gather()
    waiting = waiting_frames(facts, parts.ledger.provenance(), ())
    if waiting and not parts.ledger.selection(number):
        still = "frame still waits" if len(waiting) == 1 else "frames still wait"
        reason = f"{len(waiting)} ranked {still} for people; none are added"
        if len(waiting) >= parts.settings.budget:
            return SelectResult(reason=reason)
        if not done.fit.bundle:
            # Nothing new is known of the pool, so a second task would be as blind as the first.
            return SelectResult(reason=f"{done.fit.reason}; {reason}")
    try:
        chosen = choose_frames(
            parts.ledger,
            facts,
            _predicted(parts, facts, done),
            number=number,
            home=parts.home,
            settings=parts.settings,
            state=_state(parts, number, done),
        )
    except NothingToDoError as nothing:
        return SelectResult(reason=str(nothing))
    return SelectResult(
        selected=len(chosen.frames),
        strategy=chosen.strategy,
        phase=chosen.phase,
        advice=chosen.advice,
        duplicates=chosen.duplicates,
    )


def prioritise_step(parts: Parts, number: int, done: Results) -> PrioritiseResult:
    """7. They return to CVAT as ranked jobs."""
    if not done.select.selected:
        return PrioritiseResult()
    made = prioritise(
        parts.gateway,
        parts.ledger,
        parts.gather(),
        number=number,
        home=parts.home,
        settings=parts.settings,
        report=parts.report,
    )
    jobs = [
        {
            "id": job.job_id,
            "task_id": job.task_id,
            "frames": list(job.frames),
            "scores": list(job.scores),
            "reason": job.reason,
        }
        for job in made.jobs
    ]
    return PrioritiseResult(made.task_id, made.storage, tuple(jobs))


def preannotate_step(parts: Parts, number: int, done: Results) -> PreannotateResult:
    """8. The model's objects go in; only then does anybody get the jobs."""
    if not done.prioritise.jobs:
        return PreannotateResult()
    jobs = ranked_jobs(parts.gateway, parts.ledger, number=number)
    filled, shown_from, looked = PreAnnotated({}, {}), None, None
    model = done.decide.serves
    if model and parts.config.pre_annotation.enabled:
        withheld = done.decide.trust.withheld
        filled, shown, looked = fill_jobs(
            parts, jobs, number=number, model=model, withheld=withheld
        )
        shown_from = shown.to_json()
    notes = _job_notes(parts, number, jobs, looked, done.pull.dataset)
    if parts.settings.write_guide:
        write_guide(
            parts.gateway,
            parts.config.project_id,
            jobs,
            number=number,
            settings=parts.settings,
            notes=notes,
            about_model=done.decide.for_annotators,
        )
    given = assign(parts.gateway, jobs, settings=parts.settings)
    put_in_order(parts.gateway, jobs, settings=parts.settings)
    return PreannotateResult(
        job_notes={str(job): one.to_json() for job, one in notes.items()},
        proposed=filled.proposed,
        left_alone={str(job): why for job, why in filled.skipped.items()},
        unmatched=filled.unmatched,
        without_mask=filled.maskless,
        unread=filled.unread,
        controls=filled.controls,
        assigned={str(job): name for job, name in given.items()},
        shown_from=shown_from,
    )


def fill_jobs(
    parts: Parts,
    jobs: Sequence[RankedJob],
    *,
    number: int,
    model: str,
    withheld: Mapping[str, str],
) -> tuple[PreAnnotated, ShownFrom, AssistingModel]:
    """Put a model's objects into jobs, from the scores where that saves time; also give those.

    number: of the round, or of a wish (negative). withheld: classes not shown to people, and why.
    """
    version = parts.registry.show(parts.key, model)
    label_ids = json.loads(version.tags.get(LABEL_IDS, "{}"))
    bundle = read_bundle(version.path)
    shown = round_thresholds(
        parts.ledger,
        bundle,
        parts.labels(),
        label_ids,
        withheld=withheld,
        config=parts.config,
        settings=parts.settings,
    )
    filled = preannotate(
        parts.gateway,
        parts.ledger,
        parts.config.project_id,
        jobs,
        number=number,
        model=model,
        home=parts.home,
        settings=replace(parts.settings, min_scores=shown.scores),
        label_ids=label_ids,
        withheld=withheld,
        segmenter=segmenter_of(parts.functions, parts.key),
        controls=control_jobs(
            parts.ledger, jobs, number=number, one_in=parts.config.savings.control_every
        ),
        report=parts.report,
    )
    return filled, shown, AssistingModel(model, label_ids, bundle.card.task)


def _job_notes(
    parts: Parts,
    number: int,
    jobs: tuple[RankedJob, ...],
    looked: AssistingModel | None,
    dataset: str | None,
) -> dict[int, JobNote]:
    labels, seconds = parts.labels(), seconds_of(parts.config)
    return job_notes(
        parts.gateway,
        parts.ledger,
        jobs,
        labels,
        number=number,
        home=parts.home,
        looked=looked,
        seconds=seconds,
        opened=parts.config.active_learning.cost.frame,
        usual=usual_seconds(load_dataset(Path(dataset)), labels, seconds) if dataset else None,
    )


def look(parts: Parts) -> ChosenFrames:
    """Choose as the next round would, with the model trusted today, and record nothing."""
    champion = parts.registry.champion(parts.key)
    past = [row.figures for row in parts.ledger.rounds() if row.figures.get("train")]
    last = past[-1] if past else {}
    serves = champion.bundle if champion else None
    trust = trust_now(parts.ledger, parts.registry, parts.key, parts.config, serves)
    done = Results(
        pull=PullResult.of(last),
        decide=DecideResult(serves=serves, trust=trust, figures={"class_ap": last.get("class_ap")}),
    )
    facts = parts.gather()
    number = max((row.number for row in parts.ledger.rounds()), default=0) + 1
    return choose_frames(
        parts.ledger,
        facts,
        _predicted(parts, facts, done),
        number=number,
        home=parts.home,
        settings=parts.settings,
        state=_state(parts, number, done),
        record=False,
    )


def _predicted(parts: Parts, facts: Facts, done: Results) -> Predicted:
    model = done.decide.trust.model
    with open_appearance(parts) as appearance:
        _ask_workers(parts, facts, model, appearance)
        return predict(
            parts.gateway,
            parts.ledger,
            facts,
            home=parts.home,
            settings=parts.settings,
            detector=_detector(parts, model) if model else None,
            model=model,
            embedder=parts.embedder,
            report=parts.report,
            observer=AppearanceRecorder(appearance, model) if model else None,
        )


def _ask_workers(
    parts: Parts, facts: Facts, model: str | None, appearance: AppearanceStore
) -> None:
    """Have workers read what nobody has read; what they leave out is read here afterwards."""
    if parts.spread is None:
        return
    left = unread(parts.ledger, facts, parts.home, model or parts.embedder().name)
    if model is not None and parts.blobs is not None:
        share_bundle(parts.blobs, read_bundle(parts.registry.show(parts.key, model).path))
    project = parts.config.project_id
    asked = shards(project, parts.key, model or "", left, parts.settings)
    parts.spread.predict(parts.ledger, asked, appearance=appearance, report=parts.report)


def _detector(parts: Parts, version: str) -> Detector:
    return load(read_bundle(parts.registry.show(parts.key, version).path))


def _state(parts: Parts, number: int, done: Results) -> ProjectState:
    trust, pulled = done.decide.trust, done.pull
    model = trust.model
    names: tuple[str, ...] = ()
    counts = ap = None
    if model:
        names = tuple(read_bundle(parts.registry.show(parts.key, model).path).card.labels)
        known = done.decide.class_ap
        ap = np.array([np.nan if known.get(n) is None else known[n] for n in names])
    if model and pulled.dataset:
        dataset = load_dataset(Path(pulled.dataset))
        found = [dataset.labels.name_of(o.class_id) for i in dataset.images for o in i.objects]
        counts = np.array([found.count(name) for name in names], float)
    past = [row.figures for row in parts.ledger.rounds() if row.number <= number]
    return ProjectState(
        labelled=pulled.train,
        trusted=model is not None,
        weak=trust.level == "informs" or not trust.proven,
        class_names=names,
        class_counts=counts,
        class_ap=ap,
        curve=tuple(
            (row["train"], row["challenger"]["ap"])
            for row in past
            if row.get("challenger") and row.get("train")
        ),
    )
