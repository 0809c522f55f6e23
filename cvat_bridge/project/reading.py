"""What is read of a project before anything is decided."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cvat_bridge.cvat.gateway import Gateway, Job, Label, LastChanges, Media, Project, Task
from cvat_bridge.errors import NotFoundError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import JobLook
from cvat_bridge.project.availability import is_free, is_touched, job_frames
from cvat_bridge.project.media_cache import MediaCache

FULL_READ_SECONDS = 600.0


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


class ProjectReader:
    """Reads one project again and again, and asks CVAT only for what changed since.

    folder: where the media of tasks is kept between runs of the program, None to keep it in memory
    alone. Whether anything changed at all is told by CVAT's newest dates and numbers of rows; since
    a change may become visible a moment after a later one, everything is read anew after
    FULL_READ_SECONDS.
    """

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        project_id: int,
        *,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway, self._ledger, self._project_id = gateway, ledger, project_id
        self._media = MediaCache(folder)
        self._reserved: dict[tuple[int, str, str], frozenset[int]] = {}
        self._clock = clock
        self._last: tuple[LastChanges, float, Reading] | None = None

    def read(self) -> Reading:
        """Read the project; three requests where nothing changed. See read_project."""
        changes = self._gateway.last_changes(self._project_id)
        if self._last is not None:
            known, at, reading = self._last
            if known == changes and self._clock() - at < FULL_READ_SECONDS:
                return reading
        reading = self._read()
        self._last = changes, self._clock(), reading
        return reading

    def _read(self) -> Reading:
        gateway = self._gateway
        project = gateway.project(self._project_id)
        labels = gateway.labels(project_id=self._project_id)
        jobs, tasks = gateway.jobs(project_id=self._project_id), gateway.tasks(self._project_id)
        media: dict[int, Media] = {}
        for task in tasks:
            if task.size and task.dimension == "2d":
                try:
                    media[task.id] = self._media.of(task, gateway.media)
                except NotFoundError:
                    continue
        self._media.keep_only(media)
        dates = {task.id: task.updated_date for task in tasks}
        reserved = {
            job.id: self._reserved_by(job, dates[job.task_id])
            for job in jobs
            if job.type == "ground_truth" and job.task_id in media
        }
        looks = _look(gateway, self._ledger, jobs, media)
        return Reading(project, labels, tasks, jobs, media, reserved, looks)

    def _reserved_by(self, job: Job, task_date: str) -> frozenset[int]:
        key = job.id, job.updated_date, task_date
        if key not in self._reserved:
            included = self._gateway.job_media(job.id).included
            self._reserved[key] = job_frames(job) if included is None else included
        return self._reserved[key]


def read_project(gateway: Gateway, ledger: Ledger, project_id: int) -> Reading:
    """Read a project.

    One request for each task's media and one for each unopened job that changed since it was
    last looked at. Tasks that vanish meanwhile are left out. Raises GatewayError, LedgerError.
    """
    return ProjectReader(gateway, ledger, project_id).read()


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
