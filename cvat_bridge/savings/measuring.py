"""What each finished job of a round took: by CVAT's analytics, and by when jobs were finished."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise

import structlog

from cvat_bridge.cvat.gateway import Gateway, Job, JobAnnotations, WorkingTime
from cvat_bridge.errors import GatewayError, NotReadyError, UnsupportedError
from cvat_bridge.frames.job_cache import JobCache
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import JobEffort
from cvat_bridge.ledger.records import PreAnnotatedJob
from cvat_bridge.project.facts import Facts, LabelledJob
from cvat_bridge.savings.clock import Clock, write_clock
from cvat_bridge.savings.controls import CONTROL

LONGEST_SPELL = 3600.0  # seconds between two finished jobs; more is a break, not work
log = structlog.get_logger("savings")


def measure(gateway: Gateway, ledger: Ledger, facts: Facts, *, home: Home, now: str) -> Clock:
    """Record what the finished jobs of rounds took, and give what CVAT's analytics said.

    Jobs that were pre-annotated, and control jobs; others are not comparable, since chance did not
    divide them. Calling it again writes the same rows. A CVAT that keeps no working time, or does
    not answer about it, is no failure: the clock says so. Raises GatewayError when the jobs
    themselves cannot be read, LedgerError.
    """
    sent = {
        job: row
        for job, row in ledger.preannotated().items()
        if row.round > 0 and row.problem in ("", CONTROL)
    }
    finished = [job for job in facts.jobs if job.job_id in sent and job.frames]
    if not finished:
        clock = Clock(now)
        write_clock(home, clock)
        return clock
    jobs = {job.id: job for job in gateway.jobs(project_id=facts.project.id)}
    worked, why = _worked(gateway, ledger, facts.project.id)
    known = {row.job_id: row for row in ledger.people.efforts()}
    ended = {
        job.job_id: known[job.job_id].finished if job.job_id in known else job.updated_date
        for job in facts.jobs
    }
    spells = spells_of(jobs.values(), ended)
    cache = JobCache(home.annotations)
    rows = [
        _effort(
            job,
            sent[job.job_id],
            cache.read(gateway, job.job_id, job.updated_date),
            jobs.get(job.job_id),
            worked.seconds.get(job.job_id) if worked is not None else None,
            spells.get(job.job_id),
            ended[job.job_id],
        )
        for job in finished
    ]
    ledger.people.save_efforts([_kept(known.get(row.job_id), row) for row in rows])
    clock = Clock(now, why, own_only=worked is not None and worked.own_only)
    write_clock(home, clock)
    return clock


def spells_of(jobs: Iterable[Job], ended: Mapping[int, str]) -> dict[int, float]:
    """Return the seconds between the ends of one person's finished jobs, by the later job. Pure.

    ended: when each finished job was first seen finished. A person's first job, and one that ended
    more than LONGEST_SPELL after the one before, is not in it.
    """
    mine: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
    for job in jobs:
        if job.id in ended and job.assignee is not None:
            mine[job.assignee.username].append((_moment(ended[job.id]), job.id))
    spells = {}
    for rows in mine.values():
        rows.sort()
        for (before, _), (after, job_id) in pairwise(rows):
            seconds = (after - before).total_seconds()
            if 0 < seconds <= LONGEST_SPELL:
                spells[job_id] = seconds
    return spells


def objects_in(annotations: JobAnnotations, frames: Sequence[int]) -> int:
    """Count the objects of a job on its frames: the shapes of a group are one, a track is one."""
    wanted = set(frames)
    groups, single = set(), 0
    for shape in annotations.shapes:
        if int(shape["frame"]) not in wanted:
            continue
        if group := int(shape.get("group") or 0):
            groups.add((int(shape["frame"]), group))
        else:
            single += 1
    return single + len(groups) + len(annotations.tracks)


def _worked(gateway: Gateway, ledger: Ledger, project_id: int) -> tuple[WorkingTime | None, str]:
    """Return what people worked since the first round, or why that is not known."""
    since = min((row.started for row in ledger.rounds() if row.started), default="")
    try:
        return gateway.working_time(project_id, since), ""
    except UnsupportedError as error:
        return None, error.detail
    except GatewayError as error:  # the rest of a round does not hang on it
        log.warning("working time is not known", error=str(error))
        return None, f"CVAT did not say: {error.detail}"
    except NotReadyError as error:
        return None, str(error)


def _effort(
    job: LabelledJob,
    sent: PreAnnotatedJob,
    annotations: JobAnnotations,
    now: Job | None,
    worked: float | None,
    spell: float | None,
    finished: str,
) -> JobEffort:
    control = sent.problem == CONTROL
    return JobEffort(
        job.job_id,
        sent.round,
        job.task_id,
        "control" if control else "pre-annotated",
        "" if control else sent.model,
        now.assignee.username if now is not None and now.assignee is not None else "",
        len(job.frames),
        objects_in(annotations, job.frames),
        worked,
        spell,
        finished,
    )


def _kept(before: JobEffort | None, now: JobEffort) -> JobEffort:
    """Keep what was known of a job's seconds where this look could not tell."""
    if before is None:
        return now
    return JobEffort(
        **{
            **vars(now),
            "annotator": now.annotator or before.annotator,
            "worked": before.worked if now.worked is None else now.worked,
            "spell": before.spell if now.spell is None else now.spell,
        }
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
