"""The rows of rounds that a lost ledger no longer has, from what else knows of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cvat_bridge.cvat.gateway import Job, Task
from cvat_bridge.ledger.records import Decision, Provenance, RankedJob, Round, SelectedFrame
from cvat_bridge.loop.ranking import rank_new
from cvat_bridge.project.copies import Copy
from cvat_bridge.recovery.comparing import RESTORED
from cvat_bridge.recovery.durable import DurableRound

REASON = "restored from CVAT"
_DECIDED = ("champion", "challenger", "class_ap", "usefulness", "gate")


def restored_round(
    number: int, project_id: int, durable: DurableRound | None, task: Task | None, *, now: str
) -> Round:
    """Make the row of a round; it counts as ended, since what it had chosen is not known any more.

    durable: what DBOS recorded, or None. task: that the round made in CVAT, or None.
    """
    figures: dict[str, object] = {RESTORED: "CVAT"}
    if task is not None:
        figures |= {"selected": task.size, "task_id": task.id}
    if durable is not None:
        told = {key: value for answer in durable.answers.values() for key, value in answer.items()}
        figures = {**figures, **told, RESTORED: "the records of rounds"}
        if not durable.done and task is None:
            figures |= {"selected": 0, "task_id": None}
    began = durable.began if durable is not None else task.updated_date if task else now
    ended = (durable.ended if durable is not None else "") or now
    return Round(number, project_id, "done", started=began, ended=ended, figures=figures)


def restored_decisions(rounds: Sequence[DurableRound]) -> tuple[Decision, ...]:
    """Make the rows of decisions that the steps recorded."""
    found, champion = [], ""
    for row in rounds:
        fitted, decided = row.answers.get("fit", {}), row.answers.get("decide")
        if decided is None:
            continue
        if fitted.get("version") and decided.get("challenger"):
            found.append(
                Decision(
                    row.number,
                    champion,
                    fitted["version"],
                    bool(decided["promoted"]),
                    tuple(decided["reasons"]),
                    {name: decided.get(name) for name in _DECIDED},
                    row.ended or row.began,
                )
            )
        champion = decided.get("serves") or ""
    return tuple(found)


def restored_provenance(
    copies: Sequence[Copy], number: int, chosen: Mapping[tuple[int, int], SelectedFrame]
) -> tuple[Provenance, ...]:
    """Make the rows of a task's copies, each with one source.

    chosen: what the round is known to have chosen, by source. The others count as picked by the
    strategy: frames drawn at random would be let into the holdout, which must not be guessed.
    """
    rows: dict[tuple[int, int], Provenance] = {}
    for copy in copies:
        row = chosen.get((copy.source_task, copy.source_frame))
        rows.setdefault(
            (copy.task_id, copy.frame),
            Provenance(
                copy.task_id,
                copy.frame,
                copy.source_task,
                copy.source_frame,
                number,
                row.rank if row else copy.rank,
                row.score if row else None,
                row.arm if row else "strategy",
                row.reason if row else REASON,
                row.weight if row else None,
            ),
        )
    return tuple(rows.values())


def restored_jobs(
    rows: Sequence[Provenance], jobs: Sequence[Job], durable: DurableRound | None
) -> tuple[RankedJob, ...]:
    """Make the ranked jobs of a round: as its step recorded them, else as its task shows them."""
    told = durable.answers.get("prioritise", {}).get("jobs") if durable is not None else None
    if told:
        return tuple(
            RankedJob(
                rank,
                int(job["id"]),
                int(job["task_id"]),
                tuple(job["frames"]),
                tuple(job["scores"]),
                str(job["reason"]),
            )
            for rank, job in enumerate(told, 1)
        )
    chosen = {
        row.frame: SelectedFrame(
            row.rank, row.source_task, row.source_frame, row.score, row.arm, row.reason, row.weight
        )
        for row in rows
    }
    return rank_new([job for job in jobs if job.type == "annotation"], chosen)
