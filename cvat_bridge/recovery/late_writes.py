"""What CVAT carried out after we had given it up: our own exact doubles and empty tasks.

A request that timed out is looked for and sent again; one that CVAT executes after that look makes
a second task, or the same objects a second time. Looked for before each round begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cvat_bridge.cvat.gateway import Gateway, Job, RawShape, Task
from cvat_bridge.cvat.shape_equality import doubled_shapes
from cvat_bridge.errors import NotFoundError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Proposal
from cvat_bridge.project.availability import is_touched
from cvat_bridge.project.markers import RoundMark, mark_of

_ROUNDS = 2  # the last ones: no request is late by more


class LateWrites:
    """Looks for them; the jobs of a task are read again only when its date has moved since."""

    def __init__(self, gateway: Gateway, ledger: Ledger) -> None:
        self._gateway, self._ledger = gateway, ledger
        self._seen: dict[int, str] = {}

    def mend(self, tasks: Mapping[int, Task]) -> tuple[str, ...]:
        """Remove what is surely ours and in nobody's hands; say what was done, and what is left.

        tasks: of the project, by id, as they are now. For between two rounds. Raises GatewayError,
        LedgerError.
        """
        done = {row.number for row in self._ledger.rounds() if row.state == "done"}
        late = self._empty_tasks(tasks, done)
        for number in sorted(done)[-_ROUNDS:]:
            late += self._doubles(tasks, number)
        return tuple(late)

    def _empty_tasks(self, tasks: Mapping[int, Task], done: set[int]) -> list[str]:
        ours = {RoundMark(self._ledger.identity, number) for number in done}
        told = []
        for task in tasks.values():
            if mark_of(task.name) in ours and not task.size:
                self._gateway.delete_task(task.id)
                told.append(f"task {task.id} ({task.name!r}) was made late and is empty: deleted")
        return told

    def _doubles(self, tasks: Mapping[int, Task], number: int) -> list[str]:
        told: list[str] = []
        ranked = self._ledger.ranked_jobs(number)
        for task_id in sorted({row.task_id for row in ranked}.intersection(tasks)):
            date = tasks[task_id].updated_date
            if self._seen.get(task_id) == date:
                continue
            try:
                jobs = {job.id: job for job in self._gateway.jobs(task_id=task_id)}
                for row in ranked:
                    if row.job_id in jobs:
                        proposals = self._ledger.proposals(job_id=row.job_id)
                        told += self._doubles_in(jobs[row.job_id], proposals)
            except NotFoundError:  # people deleted the task or job meanwhile
                continue
            self._seen[task_id] = date
        return told

    def _doubles_in(self, job: Job, proposals: Sequence[Proposal]) -> list[str]:
        if not proposals:
            return []
        held = self._gateway.annotations(job.id)
        written = {row.shape_id for row in proposals if row.shape_id is not None}
        extra = doubled_shapes([_shape(row) for row in proposals], held.shapes, keep=written)
        if not extra:
            return []
        if job.state != "new" or is_touched(held):
            # Whoever has the job open would bring back what is deleted under their hands.
            numbers = ", ".join(str(one["id"]) for one in extra[:5])
            told = f"job {job.id} holds {len(extra)} pre-annotations twice (objects {numbers})"
            return [f"{told}; people work on it, so they are left to them"]
        self._gateway.delete_annotations(job.id, extra)
        return [f"job {job.id}: {len(extra)} pre-annotations were written twice: deleted"]


def _shape(row: Proposal) -> RawShape:
    return {
        "frame": row.frame,
        "label_id": row.label_id,
        "type": row.shape_type,
        "points": list(row.points),
        "source": row.source,
    }
