"""When a round begins: a function of the facts and of the rounds before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cvat_bridge.ledger.records import Provenance, Round, SelectedFrame, frame_key
from cvat_bridge.project.facts import Facts


@dataclass(frozen=True)
class NextStep:
    """What the loop does now. number: of the round; reason: for people."""

    kind: Literal["round", "wait"]
    number: int
    reason: str


def waiting_frames(
    facts: Facts,
    provenance: Sequence[Provenance],
    selection: Sequence[SelectedFrame],
) -> frozenset[str]:
    """Return the keys of ranked frames that people have not finished yet.

    provenance: of every round (copies). selection: of the last round; counts where it ranked
    existing jobs and copied nothing. Frames of deleted tasks wait for nobody.
    """
    labelled = {frame_key(job.task_id, frame) for job in facts.jobs for frame in job.frames}
    copies = {frame_key(row.task_id, row.frame) for row in provenance if row.task_id in facts.tasks}
    copied = {frame_key(row.source_task, row.source_frame) for row in provenance}
    ranked = {row.key for row in selection if row.task_id in facts.tasks and row.key not in copied}
    deleted = {
        frame_key(task_id, frame)
        for task_id, media in facts.media.items()
        for frame in media.deleted
    }
    return frozenset((copies | ranked) - labelled - deleted)


def next_step(facts: Facts, last: Round | None, *, waiting: int, retrain_after: int) -> NextStep:
    """Decide whether a round begins, and say why or what is waited for.

    last: the newest round that was begun, or None. waiting: ranked frames not finished yet.
    A round that was begun and has no good end goes on before any other.
    """
    if last is not None and last.state != "done":
        return NextStep("round", last.number, f"round {last.number} goes on")
    number = last.number + 1 if last is not None else 1
    new = facts.new_frames
    if new >= retrain_after:
        return NextStep("round", number, f"{new} newly labelled frames (due at {retrain_after})")
    if last is None and (facts.pool or new):
        return NextStep("round", number, "the first round")
    if not waiting and new:
        return NextStep("round", number, f"no ranked frame waits, {new} frames are new")
    if not waiting and facts.pool and last is not None and _gave_work(last):
        return NextStep("round", number, "no ranked frame waits for anybody")
    if waiting:
        return NextStep(
            "wait",
            number,
            f"people have {waiting} ranked frames before them; "
            f"{new} of {retrain_after} newly labelled frames",
        )
    if facts.pool:
        return NextStep("wait", number, f"finished jobs: {new} of {retrain_after} new frames")
    return NextStep(
        "wait", number, "the pool is empty and no finished job is new: add a task to the project"
    )


def _gave_work(last: Round) -> bool:
    """Whether a round chose frames; one that was restored after a loss may have."""
    return last.figures.get("selected", 0) > 0 or "restored" in last.figures
