"""What is to be annotated: tasks, their jobs, and the frames of each that are still due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cvat_bridge.annotate.labelling import Labelling, match
from cvat_bridge.annotate.model import ChosenModel
from cvat_bridge.annotate.request import AnnotationRequest
from cvat_bridge.cvat.gateway import Gateway, Job, Media, Task
from cvat_bridge.errors import ConfigError, NotReadyError
from cvat_bridge.ledger import Ledger
from cvat_bridge.project.availability import job_frames


@dataclass(frozen=True)
class TaskAnnotationPlan:
    """A task's share. due: frames of each job that this model has not done, rising, by job.

    classes: of the model, in the order of its ids. least: score from which "<label id>:<class>" is
    written. unlabelled: score from which an object of a class without a label is counted. done:
    frames that are done already.
    """

    task: Task
    media: Media
    labelling: Labelling
    jobs: tuple[Job, ...]
    due: Mapping[int, tuple[int, ...]]
    classes: tuple[str, ...]
    least: Mapping[str, float]
    unlabelled: Mapping[str, float]
    done: int

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames due in any job, rising."""
        return tuple(sorted({frame for frames in self.due.values() for frame in frames}))


@dataclass(frozen=True)
class AnnotationPlan:
    """tasks: with something to do or done. left_alone: jobs that are not touched, and why."""

    request: AnnotationRequest
    tasks: tuple[TaskAnnotationPlan, ...]
    left_alone: Mapping[int, str]

    @property
    def total(self) -> int:
        """Frames that are due."""
        return sum(len(task.frames) for task in self.tasks)


def make_plan(
    gateway: Gateway, ledger: Ledger, model: ChosenModel, request: AnnotationRequest
) -> AnnotationPlan:
    """Read what there is and what is left to do; writes nothing.

    Raises NotFoundError, NotReadyError for a task without data, LabelMismatchError, ConfigError
    for frames, jobs or kinds of data that cannot be annotated.
    """
    if request.task_id is not None:
        tasks: Sequence[Task] = [gateway.task(request.task_id)]
    else:
        tasks = gateway.tasks(int(request.project_id or 0))
    jobs_of = {task.id: gateway.jobs(task_id=task.id) for task in tasks}
    _check_jobs(request, [job for jobs in jobs_of.values() for job in jobs])
    plans: list[TaskAnnotationPlan] = []
    left_alone: dict[int, str] = {}
    for task in tasks:
        jobs = [job for job in jobs_of[task.id] if not request.job_ids or job.id in request.job_ids]
        chosen = []
        for job in jobs:
            if reason := reason_to_skip(job, named=job.id in request.job_ids):
                left_alone[job.id] = reason
            else:
                chosen.append(job)
        if request.task_id is None and (task.dimension != "2d" or not task.size):
            reason = "it has no images" if not task.size else f"it is {task.dimension}"
            left_alone |= {job.id: f"{reason} (task {task.id})" for job in chosen}
        elif chosen or request.task_id is not None:
            plans.append(_task_plan(gateway, ledger, model, request, task, tuple(chosen)))
    return AnnotationPlan(request, tuple(plans), left_alone)


def reason_to_skip(job: Job, *, named: bool) -> str:
    """Return why a job is left alone; "" when it may be annotated. Pure.

    named: a person named this very job, and so may mean one that is finished.
    """
    if job.type == "ground_truth":
        return "it is the ground truth, which people alone draw"
    if named:
        return ""
    if job.type == "consensus_replica":
        return "it is a consensus replica; name it with --job to annotate it"
    if job.state in ("completed", "rejected") or job.stage == "acceptance":
        state = job.state if job.state != "new" else f"at {job.stage}"
        return f"it is {state}; name it with --job to annotate it"
    return ""


def _check_jobs(request: AnnotationRequest, jobs: Sequence[Job]) -> None:
    there = {job.id: job for job in jobs}
    faults = [
        f"--job {number}: not among the jobs asked for: {', '.join(map(str, sorted(there)))}"
        for number in request.job_ids
        if number not in there
    ] + [
        f"--job {number}: {reason_to_skip(there[number], named=True)}"
        for number in request.job_ids
        if number in there and reason_to_skip(there[number], named=True)
    ]
    if faults:
        raise ConfigError(faults)


def _task_plan(
    gateway: Gateway,
    ledger: Ledger,
    model: ChosenModel,
    request: AnnotationRequest,
    task: Task,
    jobs: tuple[Job, ...],
) -> TaskAnnotationPlan:
    if not task.size:
        raise NotReadyError(f"task {task.id} has no data yet: add images to it in CVAT")
    if task.dimension != "2d":
        raise ConfigError([f"task {task.id} is {task.dimension}; models here read images"])
    labels = gateway.labels(task_id=task.id)
    labelling = match(model, labels, request.mapped, known_only=request.known_only)
    scores = model.least(request.min_score)
    names = model.bundle.card.labels
    least = {
        reach_key(label.id, names.name_of(class_id)): scores[names.name_of(class_id)]
        for class_id, label in labelling.label_of.items()
    }
    media = gateway.media(task.id)
    if request.frames and max(last for _, last in request.frames) >= task.size:
        raise ConfigError([f"--frames: task {task.id} has frames 0 to {task.size - 1}"])
    due, done = {}, 0
    for job in jobs:
        asked = sorted(f for f in job_frames(job) - media.deleted if request.holds(f))
        rows = ledger.annotated(job.id, model.version)
        due[job.id] = tuple(
            frame
            for frame in asked
            if frame not in rows or rows[frame].pending or not covers(rows[frame].reach, least)
        )
        done += len(asked) - len(due[job.id])
    unlabelled = {name: scores[name] for name in labelling.left_out}
    return TaskAnnotationPlan(
        task, media, labelling, jobs, due, names.names, least, unlabelled, done
    )


def reach_key(label_id: int, class_name: str) -> str:
    """Name what a class becomes in CVAT, for AnnotatedFrame.reach."""
    return f"{label_id}:{class_name}"


def covers(reach: Mapping[str, float], least: Mapping[str, float]) -> bool:
    """Return whether everything that is wanted from `least` on was written before. Pure."""
    return all(key in reach and reach[key] <= score for key, score in least.items())
