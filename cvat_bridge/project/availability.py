"""Whose a job is: finished and ours to learn from, free for a round, or people's. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cvat_bridge.cvat.gateway import Job, JobAnnotations
from cvat_bridge.ledger.records import JobLook, UsedJob
from cvat_bridge.settings import STAGES, RoundSettings


def finished_jobs(
    jobs: Sequence[Job], *, used: Mapping[int, UsedJob], settings: RoundSettings
) -> tuple[Job, ...]:
    """Return the jobs whose labels may be used, by rising id.

    Completed at the stage that counts or a later one. A job that was used and then moved to a
    later stage (which makes CVAT reset its state) stays. Rejected jobs and consensus replicas
    never count: the parent does, once the replicas are merged into it.
    """
    least = STAGES.index(settings.finished_stage)

    def counts(job: Job) -> bool:
        stage = STAGES.index(job.stage)
        if job.type == "consensus_replica" or job.state == "rejected":
            return False
        if job.type == "ground_truth":
            return job.state == "completed"
        passed_on = job.id in used and stage > least
        return passed_on or (job.state == "completed" and stage >= least)

    return tuple(sorted((job for job in jobs if counts(job)), key=lambda job: job.id))


def is_free(job: Job, look: JobLook | None) -> bool:
    """Return whether nobody has this job: new, unassigned, not under review, nothing drawn."""
    unopened = job.state == "new" and job.assignee is None and job.stage == "annotation"
    return unopened and look is not None and not look.touched


def is_touched(annotations: JobAnnotations) -> bool:
    """Return whether people have objects here; unedited pre-annotations are not theirs."""
    objects = (*annotations.tags, *annotations.shapes, *annotations.tracks)
    return any(one.get("source", "manual") != "auto" for one in objects)


def job_frames(job: Job) -> frozenset[int]:
    """Return the task-relative frames of a job (for a ground-truth job: all it could pick from)."""
    return frozenset(range(job.start_frame, job.stop_frame + 1))
