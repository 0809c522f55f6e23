"""What is the case: which jobs are finished and unused, what the pool is, what is held out.

`gather` reads CVAT and the ledger, `derive` decides; nothing is remembered between two calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cvat_bridge.cvat.gateway import Gateway, Job, Label, Media, Project, Task
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Provenance, UsedJob, frame_key
from cvat_bridge.project.availability import finished_jobs, is_free, job_frames
from cvat_bridge.project.copies import copies_in
from cvat_bridge.project.markers import is_round_task
from cvat_bridge.project.reading import ProjectReader, Reading
from cvat_bridge.settings import STAGES, RoundSettings

HoldoutRule = Literal["ground_truth", "subset", "share", "none"]


@dataclass(frozen=True, slots=True)
class PoolFrame:
    """A frame that a round may choose."""

    key: str
    task_id: int
    frame: int
    job_id: int
    name: str
    width: int
    height: int
    is_video: bool


@dataclass(frozen=True)
class LabelledJob:
    """A finished job and the frames whose labels it gives (none deleted, none given twice).

    held_out: its labels judge models and never train one.
    """

    job_id: int
    task_id: int
    updated_date: str
    state: str
    frames: tuple[int, ...]
    held_out: bool


@dataclass(frozen=True)
class Changes:
    """What is different since the last pull, by job id."""

    fresh: tuple[int, ...]  # finished, never used
    edited: tuple[int, ...]  # used, changed since
    gone: tuple[int, ...]  # used, now deleted, reopened or rejected

    def __bool__(self) -> bool:
        return bool(self.fresh or self.edited or self.gone)


@dataclass(frozen=True)
class Facts:
    """The state of a project's loop.

    jobs: the finished jobs, by rising id. pool: frames free to be chosen, by task and frame.
    in_work: keys of frames that people have or will get. reserved: keys of frames that belong to
    the holdout whether or not they are labelled yet. holdout_rule: what decides the holdout.
    new_frames: labelled frames of the fresh jobs. notes: what a person should know.
    """

    project: Project
    labels: tuple[Label, ...]
    tasks: Mapping[int, Task]
    media: Mapping[int, Media]
    jobs: tuple[LabelledJob, ...]
    pool: tuple[PoolFrame, ...]
    in_work: frozenset[str]
    reserved: frozenset[str]
    holdout_rule: HoldoutRule
    changes: Changes
    new_frames: int
    notes: tuple[str, ...]

    @property
    def labelled_frames(self) -> int:
        """Frames with finished labels, held out ones among them."""
        return sum(len(job.frames) for job in self.jobs)


def gather(
    gateway: Gateway,
    ledger: Ledger,
    project_id: int,
    settings: RoundSettings,
    *,
    reader: ProjectReader | None = None,
) -> Facts:
    """Read the project and derive its facts; see ProjectReader. Raises GatewayError, LedgerError.

    reader: what has read this project before and asks only for what changed since.
    """
    reader = reader or ProjectReader(gateway, ledger, project_id)
    return derive(
        reader.read(),
        used=ledger.used_jobs(),
        provenance=ledger.provenance(),
        settings=settings,
    )


def derive(
    reading: Reading,
    *,
    used: Mapping[int, UsedJob],
    provenance: Sequence[Provenance],
    settings: RoundSettings,
) -> Facts:
    """Decide what the facts are. Pure: the same reading gives the same facts.

    A frame is labelled when a finished job holds it, else in work when any job that people have
    opened, got, filled or rejected holds it, else free; free frames are the pool unless they are
    deleted, held out, a copy, or the source of a copy that still exists.
    """
    media, notes = reading.media, []
    known = {task.id: task for task in reading.tasks}
    jobs = sorted((j for j in reading.jobs if j.task_id in media), key=lambda job: job.id)
    whole = {t.id for t in reading.tasks if t.subset in settings.holdout_subsets and t.id in media}
    truth = {
        (job.task_id, frame) for job in jobs for frame in reading.reserved.get(job.id, frozenset())
    }
    shown = _honeypots(known, media, truth)
    reserved = truth | shown | {(task, f.number) for task in whole for f in media[task].frames}
    finished = finished_jobs(jobs, used=used, settings=settings)
    labelled, given = _labelled(finished, media, truth, shown, whole)
    in_work = {
        (job.task_id, frame)
        for job in jobs
        if job.type != "ground_truth"
        and job.id not in labelled
        and not is_free(job, reading.looks.get(job.id))
        for frame in job_frames(job)
    } - given
    tied = {row.task_id for row in provenance}
    copies = tied | {task.id for task in reading.tasks if is_round_task(task.name)}
    sources = {(r.source_task, r.source_frame) for r in provenance if r.task_id in known}
    # Also those that only CVAT knows of: of a lost ledger, or of another bridge.
    unknown = copies_in(reading.tasks, media, task_numbers=copies - tied)
    sources |= {(copy.source_task, copy.source_frame) for copy in unknown}
    taken = given | in_work | reserved | sources
    pool = tuple(
        _pool_frame(job, frame, media[job.task_id])
        for job in jobs
        if job.type == "annotation" and job.task_id not in copies
        for frame in sorted(job_frames(job) - media[job.task_id].deleted)
        if (job.task_id, frame) not in taken
    )
    fresh = tuple(j for j in labelled if j not in used)
    notes += _notes(reading, settings)
    return Facts(
        project=reading.project,
        labels=reading.labels,
        tasks=known,
        media=media,
        jobs=tuple(labelled.values()),
        pool=_once(pool),
        in_work=frozenset(frame_key(*where) for where in in_work),
        reserved=frozenset(frame_key(*where) for where in reserved),
        holdout_rule=_rule(truth=bool(truth), whole=bool(whole), settings=settings),
        changes=Changes(
            fresh=fresh,
            edited=tuple(
                j.job_id
                for j in labelled.values()
                if j.job_id in used and used[j.job_id].updated_date != j.updated_date
            ),
            gone=tuple(sorted(set(used) - set(labelled))),
        ),
        new_frames=sum(len(labelled[j].frames) for j in fresh),
        notes=tuple(notes),
    )


def _labelled(
    finished: Sequence[Job],
    media: Mapping[int, Media],
    truth: set[tuple[int, int]],
    shown: set[tuple[int, int]],
    whole: set[int],
) -> tuple[dict[int, LabelledJob], set[tuple[int, int]]]:
    """Return the frames of each finished job, and the frames that are labelled at all.

    A frame in the overlap of two jobs is given by the first; a frame of a ground-truth job only
    by that job, and one that shows such a frame again (shown, a honeypot) by none.
    """
    labelled: dict[int, LabelledJob] = {}
    given: set[tuple[int, int]] = set()
    for job in sorted(finished, key=lambda one: (one.type != "ground_truth", one.id)):
        task, is_truth = job.task_id, job.type == "ground_truth"
        numbers = {f for t, f in truth if t == task} if is_truth else job_frames(job)
        frames = tuple(
            frame
            for frame in sorted(numbers - media[task].deleted)
            if (task, frame) not in given
            and (is_truth or ((task, frame) not in truth and (task, frame) not in shown))
        )
        given |= {(task, frame) for frame in frames}
        labelled[job.id] = LabelledJob(
            job.id, task, job.updated_date, job.state, frames, is_truth or task in whole
        )
    return dict(sorted(labelled.items())), given


def _honeypots(
    tasks: Mapping[int, Task], media: Mapping[int, Media], truth: set[tuple[int, int]]
) -> set[tuple[int, int]]:
    """Return the frames that show a ground-truth frame of their task once more.

    In a task of mode gt_pool CVAT hides some in every job, under the name of the true one. What
    people draw there measures them; a model that learnt it would be judged on what it learnt.
    """
    found = set()
    for task_id in {task for task, _ in truth}:
        if tasks[task_id].validation_mode != "gt_pool":
            continue
        frames = media[task_id].frames
        names = {frames[n].name for t, n in truth if t == task_id and n < len(frames)}
        found |= {(task_id, f.number) for f in frames if f.name in names}
    return found - truth


def _pool_frame(job: Job, number: int, media: Media) -> PoolFrame:
    # A video lists one entry for all its frames.
    frame = media.frames[number] if number < len(media.frames) else media.frames[0]
    return PoolFrame(
        frame_key(job.task_id, number),
        job.task_id,
        number,
        job.id,
        frame.name,
        frame.width,
        frame.height,
        media.is_video,
    )


def _once(pool: Sequence[PoolFrame]) -> tuple[PoolFrame, ...]:
    """Keep a frame of overlapping jobs once, in the first of them."""
    return tuple({frame.key: frame for frame in reversed(pool)}.values())[::-1]


def _rule(*, truth: bool, whole: bool, settings: RoundSettings) -> HoldoutRule:
    if truth:
        return "ground_truth"
    if whole:
        return "subset"
    return "share" if settings.holdout_share > 0 else "none"


def _notes(reading: Reading, settings: RoundSettings) -> list[str]:
    notes = []
    for task in reading.tasks:
        if task.dimension != "2d":
            notes.append(f"task {task.id} {task.name!r} is {task.dimension}: left out")
        elif not task.size:
            notes.append(f"task {task.id} {task.name!r} has no data (yet): left out")
    rejected = [job.id for job in reading.jobs if job.state == "rejected"]
    if rejected:
        notes.append(f"rejected jobs train nothing: {', '.join(map(str, rejected))}")
    waiting = [
        job.id
        for job in reading.jobs
        if job.state == "completed"
        and STAGES.index(job.stage) < STAGES.index(settings.finished_stage)
    ]
    if waiting:
        notes.append(
            f"completed, but not yet at stage {settings.finished_stage}: "
            f"jobs {', '.join(map(str, waiting))}"
        )
    return notes
