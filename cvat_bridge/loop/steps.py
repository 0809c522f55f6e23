"""The eight steps of a round, in order; each can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from cvat_bridge.ledger.rounds import note_figures
from cvat_bridge.loop.learning import decide_step, fit_step, pull_step
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.people.assignment import check_assignees
from cvat_bridge.loop.proposals.corrections import collect_corrections
from cvat_bridge.loop.queueing import (
    preannotate_step,
    predict_step,
    prioritise_step,
    select_step,
)
from cvat_bridge.loop.results import FactsResult, Result, Results
from cvat_bridge.loop.workflow import Answer, Answers, Step
from cvat_bridge.pull.label_changes import check_learnable
from cvat_bridge.savings.measuring import measure
from trainer.backends import backend


def steps_of(parts: Parts) -> tuple[Step, ...]:
    """Return the eight steps over these parts."""
    return tuple(Step(name, partial(_answered, parts, name)) for name in STEPS)


def carry_out(parts: Parts, name: str, number: int, done: Results) -> Result:
    """Run one step and put what it leaves into the record of the round."""
    result = STEPS[name](parts, number, done)
    note_figures(parts.ledger, number, result.recorded)
    return result


def _answered(parts: Parts, name: str, number: int, answers: Answers) -> Answer:
    return carry_out(parts, name, number, Results.of(answers)).to_json()


def check_people(parts: Parts) -> None:
    """Refuse assignees whom the ranked jobs could not be given; ConfigError says what to do."""
    check_assignees(
        parts.gateway,
        settings=parts.settings,
        organization=parts.config.cvat.organization,
        project_id=parts.config.project_id,
    )


def facts_step(parts: Parts, _number: int, _: Results) -> FactsResult:
    """1. What is the case, and what people did to the last pre-annotations.

    Labels that cannot be learnt end the round here, before any image is brought or copied.
    """
    check_people(parts)
    facts = parts.gather()
    name = parts.config.trainer.backend
    check_learnable(facts.labels, backend(name).tasks, name)
    corrected = collect_corrections(
        parts.gateway, parts.ledger, facts, home=parts.home, settings=parts.settings
    )
    measure(parts.gateway, parts.ledger, facts, home=parts.home, now=parts.now())
    return FactsResult(
        pool=len(facts.pool),
        labelled_frames=facts.labelled_frames,
        new_frames=facts.new_frames,
        holdout_rule=facts.holdout_rule,
        notes=facts.notes,
        corrected=asdict(corrected.total),
    )


STEPS: Mapping[str, Callable[[Parts, int, Results], Result]] = {
    "facts": facts_step,
    "pull": pull_step,
    "fit": fit_step,
    "decide": decide_step,
    "predict": predict_step,
    "select": select_step,
    "prioritise": prioritise_step,
    "preannotate": preannotate_step,
}
