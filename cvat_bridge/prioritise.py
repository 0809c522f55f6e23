"""The chosen frames become jobs in rank order: a new task, or an order of the jobs there are."""

from __future__ import annotations

from dataclasses import dataclass

from cvat_bridge.facts import Facts
from cvat_bridge.gateway import Gateway, Job
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.progress import Report, quiet
from cvat_bridge.settings import RoundSettings


@dataclass(frozen=True)
class RankedJob:
    """A job in rank order. frames: task-relative numbers, scores: theirs, in frame order."""

    rank: int
    job_id: int
    task_id: int
    frames: tuple[int, ...]
    scores: tuple[float, ...]
    reason: str


@dataclass(frozen=True)
class Prioritised:
    """What people get. task_id: the round's task, None in mode rank_existing.

    storage: how the frames came into the task: "cloud_storage", "share" (no copy), "local"
    (downloaded and uploaded), or "none".
    """

    task_id: int | None
    jobs: tuple[RankedJob, ...]
    storage: str


def prioritise(
    gateway: Gateway,
    ledger: Ledger,
    facts: Facts,
    *,
    number: int,
    home: Home,
    settings: RoundSettings,
    report: Report = quiet,
) -> Prioritised:
    """Make the jobs of round `number` from the frames that it chose (ledger.selection).

    Nothing is assigned yet. Calling it again finds what it made. Raises NothingToDoError when
    the round chose nothing.
    """
    raise NotImplementedError


def ranked_jobs(
    gateway: Gateway, ledger: Ledger, *, number: int, settings: RoundSettings
) -> tuple[RankedJob, ...]:
    """Give the jobs of a round again, in rank order, from the ledger and CVAT."""
    raise NotImplementedError


def assign(
    gateway: Gateway, jobs: tuple[RankedJob, ...], *, settings: RoundSettings
) -> dict[int, str]:
    """Give the jobs to the assignees in turn, best first; return the user name by job id.

    For after pre-annotation. Jobs that have an assignee keep theirs. Raises ConfigError for a
    name that CVAT does not know.
    """
    raise NotImplementedError


def write_guide(
    gateway: Gateway, project_id: int, jobs: tuple[RankedJob, ...], *, number: int
) -> None:
    """Put the ranked jobs into our section of the project's guide; the rest stays as it is."""
    raise NotImplementedError


def jobs_of_round(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    """Give the annotation jobs in rank order."""
    return tuple(sorted((j for j in jobs if j.type == "annotation"), key=lambda job: job.id))
