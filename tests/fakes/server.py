"""A CVAT in memory: its state, and what people (not the bridge) do to it.

server = FakeServer()
project = server.add_project("cells", ["cell", ("nucleus", "mask")])
task = server.add_task(project.id, {"a.png": png, "b.png": png2}, jobs=[["b.png"], ["a.png"]])
job, *_ = server.jobs_of(task.id)
server.annotate(job.id, shapes=[{"type": "rectangle", "frame": 0, ...}])
server.finish(job.id)
gateway = FakeGateway(server)
"""

from __future__ import annotations

import copy
import io
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from PIL import Image, ImageOps

from cvat_bridge.cvat.gateway import (
    Attribute,
    Frame,
    FunctionInfo,
    Job,
    JobAnnotations,
    JobType,
    Label,
    Lease,
    Project,
    RawShape,
    Storage,
    Task,
    User,
    Webhook,
)

LabelLike = str | tuple[str, str] | Label
SHAPE_DEFAULTS: dict[str, Any] = {
    "type": "rectangle",
    "occluded": False,
    "outside": False,
    "z_order": 0,
    "rotation": 0.0,
    "points": [],
    "group": 0,
    "source": "manual",
    "score": 1.0,
    "attributes": [],
    "elements": [],
}
TAG_DEFAULTS: dict[str, Any] = {"group": 0, "source": "manual", "attributes": []}


@dataclass
class Stored:
    """A task with its frames and files, in frame order."""

    task: Task
    frames: tuple[Frame, ...]
    files: tuple[bytes, ...]
    storage: Storage = "local"
    cloud_storage_id: int | None = None
    is_video: bool = False
    deleted: set[int] = field(default_factory=set)


def upright(content: bytes) -> bytes:
    """Turn an image as its EXIF says, the way CVAT stores it; others stay as they are."""
    with Image.open(io.BytesIO(content)) as image:
        if image.getexif().get(0x0112, 1) == 1:
            return content
        turned = io.BytesIO()
        ImageOps.exif_transpose(image).save(turned, format=image.format, quality=100)
        return turned.getvalue()


class FakeServer:
    """The state of a CVAT server, and the hands of its people."""

    def __init__(self, *, version: tuple[int, int, int] = (2, 73, 0)) -> None:
        self.version = version
        self._ids = itertools.count(1)
        self._ticks = itertools.count()
        self.users: dict[int, User] = {}
        self.projects: dict[int, Project] = {}
        self.labels: dict[int, tuple[Label, ...]] = {}  # by project
        self.tasks: dict[int, Stored] = {}
        self.jobs: dict[int, Job] = {}
        self.included: dict[int, frozenset[int]] = {}  # frames of ground-truth jobs
        self.annotations: dict[int, JobAnnotations] = {}  # by job
        self.guides: dict[int, str] = {}  # by project
        self.issues: dict[int, dict[str, Any]] = {}
        self.resolved: set[int] = set()  # issues
        self.worked: dict[int, float] | None = None  # seconds by job, None: analytics is off
        self.webhooks: dict[int, tuple[int, Webhook, str]] = {}  # project, webhook, secret
        self.leases: dict[int, tuple[int, Lease]] = {}  # by id: project and lease
        self.webhook_status = 200  # what the target of every webhook answers to a ping
        self.functions: list[FunctionInfo] = []
        self.share: dict[str, bytes] = {}
        self.cloud: dict[int, dict[str, bytes]] = {}  # by cloud storage id
        self.robot = self.add_user("robot")

    def next_id(self) -> int:
        return next(self._ids)

    def now(self) -> str:
        """Return a time that is later than every one given before."""
        tick = next(self._ticks)
        minute, second = divmod(tick, 60)
        hour, minute = divmod(minute, 60)
        return f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:{minute:02}:{second:02}.000000Z"

    def add_user(self, username: str) -> User:
        user = User(self.next_id(), username)
        self.users[user.id] = user
        return user

    def add_project(
        self, name: str, labels: Sequence[LabelLike], *, owner: User | None = None
    ) -> Project:
        """Make a project; a label is a name, a (name, type) or a Label (its ids are replaced)."""
        project = Project(self.next_id(), name, owner or self.robot, None, self.now())
        self.projects[project.id] = project
        self.labels[project.id] = tuple(self._label(label) for label in labels)
        return project

    def _label(self, given: LabelLike) -> Label:
        if isinstance(given, str):
            given = Label(0, given, "any")
        elif isinstance(given, tuple):
            given = Label(0, given[0], given[1])
        attributes: tuple[Attribute, ...] = tuple(
            replace(attribute, id=self.next_id()) for attribute in given.attributes
        )
        return replace(
            given, id=self.next_id(), attributes=attributes, color=given.color or "#33aa77"
        )

    def label(self, project_id: int, name: str) -> Label:
        """Find a project's label by its name."""
        return next(label for label in self.labels[project_id] if label.name == name)

    def add_task(
        self,
        project_id: int,
        images: Mapping[str, bytes],
        *,
        name: str = "task",
        jobs: Sequence[Sequence[str]] | None = None,
        segment_size: int = 0,
        replicas: int = 0,
        subset: str = "",
        storage: Storage = "local",
        cloud_storage_id: int | None = None,
        is_video: bool = False,
    ) -> Task:
        """Make a task of images (by file name, in frame order) with its jobs.

        jobs: file names of each job, which also set the frame order; otherwise segment_size cuts
        jobs (0: one job). is_video: the images are the decoded frames of a video.
        """
        groups = [list(group) for group in jobs] if jobs else _cut(list(images), segment_size)
        names = [name for group in groups for name in group]
        files = tuple(upright(images[name]) for name in names)
        frames = []
        for number, (file_name, content) in enumerate(zip(names, files, strict=True)):
            with Image.open(io.BytesIO(content)) as image:
                frames.append(Frame(number, file_name, image.width, image.height))
        task = Task(
            self.next_id(),
            name,
            project_id,
            len(frames),
            "interpolation" if is_video else "annotation",
            subset,
            self.now(),
            consensus_replicas=replicas,
            owner=self.robot,
        )
        self.tasks[task.id] = Stored(
            task, tuple(frames), files, storage, cloud_storage_id, is_video
        )
        start = 0
        for group in groups:
            parent = self._add_job(task, "annotation", start, start + len(group) - 1, len(group))
            for _ in range(replicas):
                self._add_job(
                    task,
                    "consensus_replica",
                    start,
                    start + len(group) - 1,
                    len(group),
                    parent=parent.id,
                )
            start += len(group)
        return task

    def add_empty_task(self, project_id: int, name: str) -> Task:
        """Make a task that never got its data, as an upload that died leaves one."""
        task = Task(self.next_id(), name, project_id, 0, "", "", self.now(), owner=self.robot)
        self.tasks[task.id] = Stored(task, (), ())
        return task

    def _add_job(
        self,
        task: Task,
        kind: JobType,
        start: int,
        stop: int,
        count: int,
        *,
        parent: int | None = None,
    ) -> Job:
        now = self.now()
        job = Job(
            self.next_id(),
            task.id,
            task.project_id,
            kind,
            "annotation",
            "new",
            None,
            start,
            stop,
            count,
            now,
            now,
            parent,
        )
        self.jobs[job.id] = job
        self.annotations[job.id] = JobAnnotations()
        return job

    def add_ground_truth_job(self, task_id: int, frames: Sequence[int]) -> Job:
        """Make the task's ground-truth job over some of its frames."""
        stored = self.tasks[task_id]
        stored.task = replace(stored.task, validation_mode="gt")
        job = self._add_job(stored.task, "ground_truth", 0, stored.task.size - 1, len(frames))
        self.included[job.id] = frozenset(frames)
        return job

    def jobs_of(self, task_id: int) -> tuple[Job, ...]:
        return tuple(job for _, job in sorted(self.jobs.items()) if job.task_id == task_id)

    def touch_task(self, task_id: int) -> None:
        """Move a task's updated_date, as a change of its frames does."""
        stored = self.tasks[task_id]
        stored.task = replace(stored.task, updated_date=self.now())

    def annotate(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        tracks: Sequence[RawShape] = (),
    ) -> JobAnnotations:
        """Append to a job; what a shape leaves out gets CVAT's default."""
        fresh = JobAnnotations(
            tags=tuple(self._numbered(tag, TAG_DEFAULTS) for tag in tags),
            shapes=tuple(self._numbered(shape, SHAPE_DEFAULTS) for shape in shapes),
            tracks=tuple(self._numbered(track, TAG_DEFAULTS) for track in tracks),
        )
        held = self.annotations[job_id]
        self.annotations[job_id] = JobAnnotations(
            held.tags + fresh.tags, held.shapes + fresh.shapes, held.tracks + fresh.tracks
        )
        if shapes or tags or tracks:
            self.touch(job_id)
        return fresh

    def _numbered(self, given: RawShape, defaults: RawShape) -> RawShape:
        return copy.deepcopy({**defaults, **given, "id": self.next_id()})

    def edit(self, job_id: int, shape_id: int, **changes: Any) -> None:
        """Change a shape as a person in CVAT's editor does: auto becomes semi-auto."""
        held = self.annotations[job_id]
        shapes = []
        for shape in held.shapes:
            edited = shape
            if shape["id"] == shape_id:
                source = "semi-auto" if shape["source"] in {"auto", "semi-auto"} else "manual"
                edited = {**shape, "source": source, **changes}
            shapes.append(edited)
        self.annotations[job_id] = replace(held, shapes=tuple(shapes))
        self.touch(job_id)

    def remove(self, job_id: int, shape_ids: Sequence[int]) -> None:
        """Delete shapes of a job by id."""
        held = self.annotations[job_id]
        gone = set(shape_ids)
        kept = tuple(shape for shape in held.shapes if shape["id"] not in gone)
        self.annotations[job_id] = replace(held, shapes=kept)
        self.touch(job_id)

    def finish(self, job_id: int, *, stage: str | None = None) -> Job:
        """Finish a job as its annotator does: state completed at its stage."""
        changes: dict[str, Any] = {"state": "completed", "updated_date": self.now()}
        if stage is not None:
            changes["stage"] = stage
        self.jobs[job_id] = replace(self.jobs[job_id], **changes)
        return self.jobs[job_id]

    def touch(self, job_id: int) -> None:
        """Move updated_date of a job, its task and its project, as a write to a job does."""
        now = self.now()
        job = self.jobs[job_id] = replace(self.jobs[job_id], updated_date=now)
        stored = self.tasks[job.task_id]
        stored.task = replace(stored.task, updated_date=now)
        if job.project_id is not None:
            self.projects[job.project_id] = replace(self.projects[job.project_id], updated_date=now)

    def drop_task(self, task_id: int) -> None:
        del self.tasks[task_id]
        for job in [job for job in self.jobs.values() if job.task_id == task_id]:
            del self.jobs[job.id], self.annotations[job.id]
            self.included.pop(job.id, None)


def _cut(names: list[str], size: int) -> list[list[str]]:
    size = size or len(names)
    return [names[start : start + size] for start in range(0, len(names), size)]
