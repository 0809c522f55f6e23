"""The eight steps of a round, in order; each can be repeated."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial

from cvat_bridge.loop.assignment import check_assignees
from cvat_bridge.loop.learning import decide_step, fit_step, pull_step
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.proposals.corrections import collect_corrections
from cvat_bridge.loop.queueing import (
    preannotate_step,
    predict_step,
    prioritise_step,
    select_step,
)
from cvat_bridge.loop.workflow import Answer, Answers, Step


def steps_of(parts: Parts) -> tuple[Step, ...]:
    """Give the eight steps over these parts."""
    table = {
        "facts": facts_step,
        "pull": pull_step,
        "fit": fit_step,
        "decide": decide_step,
        "predict": predict_step,
        "select": select_step,
        "prioritise": prioritise_step,
        "preannotate": preannotate_step,
    }
    return tuple(Step(name, partial(run, parts)) for name, run in table.items())


def facts_step(parts: Parts, number: int, _: Answers) -> Answer:
    """1. What is the case, and what people did to the last pre-annotations."""
    organization = parts.config.cvat.organization
    check_assignees(parts.gateway, settings=parts.settings, organization=organization)
    facts = parts.gather()
    corrected = collect_corrections(
        parts.gateway, parts.ledger, facts, home=parts.home, settings=parts.settings
    )
    return parts.note(
        number,
        pool=len(facts.pool),
        labelled_frames=facts.labelled_frames,
        new_frames=facts.new_frames,
        holdout_rule=facts.holdout_rule,
        notes=list(facts.notes),
        corrected=asdict(corrected.total),
    )
