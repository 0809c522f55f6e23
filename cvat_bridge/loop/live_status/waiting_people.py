"""Whom the loop waits for: ranked frames that are not finished yet, by the person who has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from cvat_bridge.cvat.gateway import Job
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.project.availability import job_frames


@dataclass(frozen=True)
class WaitingPerson:
    """Ranked frames that one person has. who: a user name, None for jobs that nobody has yet.

    jobs: their ids, rising. frames: how many of them are not finished.
    """

    who: str | None
    jobs: tuple[int, ...]
    frames: int


def waiting_people(waiting: AbstractSet[str], jobs: Iterable[Job]) -> tuple[WaitingPerson, ...]:
    """Return who has the waiting frames, most frames first; jobs without anybody come last.

    waiting: keys of frames, see `cvat_bridge.loop.rounds.waiting_frames`. A frame in the overlap
    of two jobs is counted once, in the first.
    """
    left = set(waiting)
    found: dict[str | None, dict[int, int]] = defaultdict(dict)
    for job in sorted(jobs, key=lambda one: one.id):
        if job.type != "annotation" or not left:
            continue
        held = {frame_key(job.task_id, frame) for frame in job_frames(job)} & left
        if held:
            left -= held
            who = job.assignee.username if job.assignee else None
            found[who][job.id] = len(held)
    rows = [WaitingPerson(who, tuple(sorted(of)), sum(of.values())) for who, of in found.items()]
    return tuple(sorted(rows, key=lambda row: (row.who is None, -row.frames, row.who or "")))
