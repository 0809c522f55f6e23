"""What is read of a project before anything is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.cvat.gateway import Gateway, Job, Label, Media, Project, Task
from cvat_bridge.errors import NotFoundError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import JobLook
from cvat_bridge.project.availability import is_free, is_touched, job_frames


@dataclass(frozen=True)
class Reading:
    """What was read of a project.

    media: of every task with data, by task. reserved: frames of each ground-truth job, by job.
    looks: of the unopened jobs, by job.
    """

    project: Project
    labels: tuple[Label, ...]
    tasks: tuple[Task, ...]
    jobs: tuple[Job, ...]
    media: Mapping[int, Media]
    reserved: Mapping[int, frozenset[int]]
    looks: Mapping[int, JobLook]


def read_project(gateway: Gateway, ledger: Ledger, project_id: int) -> Reading:
    """Read a project.

    One request for each task's media and one for each unopened job that changed since it was
    last looked at. Tasks that vanish meanwhile are left out. Raises GatewayError, LedgerError.
    """
    project, labels = gateway.project(project_id), gateway.labels(project_id=project_id)
    jobs, tasks = gateway.jobs(project_id=project_id), gateway.tasks(project_id)
    media: dict[int, Media] = {}
    for task in tasks:
        if task.size and task.dimension == "2d":
            try:
                media[task.id] = gateway.media(task.id)
            except NotFoundError:
                continue
    reserved: dict[int, frozenset[int]] = {}
    for job in jobs:
        if job.type == "ground_truth" and job.task_id in media:
            included = gateway.job_media(job.id).included
            reserved[job.id] = job_frames(job) if included is None else included
    looks = _look(gateway, ledger, jobs, media)
    return Reading(project, labels, tasks, jobs, media, reserved, looks)


def _look(
    gateway: Gateway, ledger: Ledger, jobs: Sequence[Job], media: Mapping[int, Media]
) -> dict[int, JobLook]:
    """Look into the unopened jobs, again only where their date moved."""
    known, looks = ledger.looks(), {}
    unopened = JobLook(0, "", touched=False)
    for job in jobs:
        if job.type == "ground_truth" or job.task_id not in media or not is_free(job, unopened):
            continue
        look = known.get(job.id)
        if look is None or look.updated_date != job.updated_date:
            try:
                touched = is_touched(gateway.annotations(job.id))
            except NotFoundError:
                continue
            look = JobLook(job.id, job.updated_date, touched)
            ledger.add_looks([look])
        looks[job.id] = look
    return looks
