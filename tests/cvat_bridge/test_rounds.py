"""When a round begins: by what is the case, never by a clock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cvat_bridge.cvat.gateway import Project
from cvat_bridge.ledger.records import Provenance, Round, SelectedFrame
from cvat_bridge.loop.rounds import next_step, waiting_frames
from cvat_bridge.project.facts import Changes, Facts, LabelledJob, PoolFrame

FRAME = PoolFrame("1/0", 1, 0, 5, "a.jpg", 8, 8, is_video=False)
NOTHING = Facts(
    project=Project(7, "p", None, None, ""),
    labels=(),
    tasks={},
    media={},
    jobs=(),
    pool=(),
    in_work=frozenset(),
    reserved=frozenset(),
    holdout_rule="none",
    changes=Changes((), (), ()),
    new_frames=0,
    notes=(),
)
DONE = Round(3, 7, "done", figures={"selected": 4})


@pytest.mark.parametrize(
    ("facts", "last", "waiting", "kind", "number", "reason"),
    [
        (replace(NOTHING, pool=(FRAME,)), None, 0, "round", 1, "the first round"),
        (NOTHING, None, 0, "wait", 1, "the pool is empty"),
        (replace(NOTHING, new_frames=20), DONE, 9, "round", 4, "20 newly labelled"),
        (replace(NOTHING, new_frames=3), DONE, 9, "wait", 4, "9 ranked frames"),
        (replace(NOTHING, new_frames=3), DONE, 0, "round", 4, "no ranked frame waits"),
        (replace(NOTHING, pool=(FRAME,)), DONE, 0, "round", 4, "no ranked frame waits"),
        (replace(NOTHING, pool=(FRAME,)), DONE, 2, "wait", 4, "2 ranked frames"),
        (NOTHING, replace(DONE, state="fit"), 0, "round", 3, "round 3 goes on"),
        (
            replace(NOTHING, pool=(FRAME,)),
            replace(DONE, figures={"selected": 0}),
            0,
            "wait",
            4,
            "finished jobs: 0 of 20",
        ),
    ],
)
def test_what_the_loop_does_next(
    facts: Facts, last: Round | None, waiting: int, kind: str, number: int, reason: str
) -> None:
    step = next_step(facts, last, waiting=waiting, retrain_after=20)

    assert (step.kind, step.number) == (kind, number)
    assert reason in step.reason


def test_copies_wait_until_a_finished_job_holds_them_or_their_task_is_gone() -> None:
    copies = [Provenance(9, n, 1, n, 1, n + 1, 0.5, "strategy", "") for n in range(3)]
    gone = [Provenance(8, 0, 1, 7, 1, 1, 0.5, "strategy", "")]
    job = LabelledJob(4, 9, "", "completed", (0,), held_out=False)
    facts = replace(NOTHING, tasks={9: None}, jobs=(job,))  # type: ignore[dict-item]

    assert waiting_frames(facts, copies + gone, ()) == {"9/1", "9/2"}


def test_ranked_frames_of_existing_jobs_wait_too_unless_they_were_copied() -> None:
    ranked = [SelectedFrame(n + 1, 1, n, 0.5, "strategy", "") for n in range(2)]
    copies = [Provenance(9, 0, 1, 0, 1, 1, 0.5, "strategy", "")]
    facts = replace(NOTHING, tasks={1: None, 9: None})  # type: ignore[dict-item]

    assert waiting_frames(facts, copies, ranked) == {"9/0", "1/1"}
