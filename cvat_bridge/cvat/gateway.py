"""The seam to CVAT: what the bridge needs of a server, in values of our own.

`client.CvatClient` implements it on cvat-sdk. Tests implement it in memory. Frame numbers are
task-relative everywhere (0 is the task's first frame), also for jobs. Every method raises
GatewayError or one of its children; none answers "nothing" for "could not look".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

JobType = Literal["annotation", "ground_truth", "consensus_replica"]
JobState = Literal["new", "in progress", "completed", "rejected"]
Stage = Literal["annotation", "validation", "acceptance"]
Storage = Literal["local", "share", "cloud_storage"]
RawShape = dict[str, Any]  # a shape, tag or track as CVAT's JSON has it


@dataclass(frozen=True)
class Capabilities:
    """What this server can do; probed once, the only place that knows versions."""

    version: tuple[int, int, int]
    access_tokens: bool  # 2.48
    media_storage: bool  # 2.44: data/meta says where files lie
    score: bool  # 2.56: shapes carry a score
    shapes_answer: bool  # 2.60: interactors may answer in shapes
    webhook_changes: bool  # 2.73: webhook bodies carry `changes`
    intervals: bool  # 2.66: annotations carry intervals


@dataclass(frozen=True)
class User:
    """A CVAT account."""

    id: int
    username: str


@dataclass(frozen=True)
class Identity:
    """Who we are on this server. read_only is None where the server does not tell."""

    user: User
    read_only: bool | None
    is_admin: bool = False


@dataclass(frozen=True)
class Attribute:
    """An attribute of a label."""

    id: int
    name: str
    input_type: str
    values: tuple[str, ...] = ()
    default_value: str = ""
    mutable: bool = False


@dataclass(frozen=True)
class Label:
    """A label of a project or task. type: any, rectangle, polygon, mask, ellipse, tag, or other."""

    id: int
    name: str
    type: str
    attributes: tuple[Attribute, ...] = ()
    color: str = ""


@dataclass(frozen=True)
class Project:
    """A project. owner may be None (deleted account)."""

    id: int
    name: str
    owner: User | None
    organization: int | None
    updated_date: str
    dimension: str = "2d"


@dataclass(frozen=True)
class LastChanges:
    """How many tasks and jobs a project has, and when anything of it changed last.

    Two equal values mean that nothing happened in between: whatever CVAT changes moves the date of
    a job, a task or the project to now, and what it deletes changes a number.
    """

    project: str
    tasks: int
    task: str
    jobs: int
    job: str


@dataclass(frozen=True)
class Task:
    """A task; size is 0 while no data is attached."""

    id: int
    name: str
    project_id: int | None
    size: int
    mode: str  # "annotation" for images, "interpolation" for video, "" without data
    subset: str
    updated_date: str
    dimension: str = "2d"
    bug_tracker: str = ""
    consensus_replicas: int = 0
    validation_mode: str | None = None
    owner: User | None = None


@dataclass(frozen=True)
class Job:
    """A job: a range of its task's frames, except a ground-truth job, which picks some."""

    id: int
    task_id: int
    project_id: int | None
    type: JobType
    stage: Stage
    state: JobState
    assignee: User | None
    start_frame: int
    stop_frame: int  # inclusive
    frame_count: int
    updated_date: str
    created_date: str = ""
    parent_job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a task as data/meta tells it."""

    number: int
    name: str
    width: int
    height: int


@dataclass(frozen=True)
class Media:
    """The frames of a task and where their files lie.

    frames: every frame, deleted ones too, in order. included: for a ground-truth job's media,
    the frames it really holds; otherwise None. is_video: frames have no files of their own.
    """

    task_id: int
    frames: tuple[Frame, ...]
    deleted: frozenset[int]
    storage: Storage
    cloud_storage_id: int | None
    is_video: bool
    chunk_size: int
    included: frozenset[int] | None = None


@dataclass(frozen=True)
class JobAnnotations:
    """Raw annotations of one job, as CVAT's JSON has them."""

    tags: tuple[RawShape, ...] = ()
    shapes: tuple[RawShape, ...] = ()
    tracks: tuple[RawShape, ...] = ()


@dataclass(frozen=True)
class LocalFile:
    """A file to upload. name is what CVAT will call it: unique in its task, no folders."""

    name: str
    content: bytes


@dataclass(frozen=True)
class NewTask:
    """A task to make. Exactly one of local files and server_files is given.

    marker: a text that is part of `name` and of no other task's name; a repeated call finds the
    task by it instead of making a second one. jobs: file names of each job, in rank order.
    server_files with cloud_storage_id None means the share.
    Raises ValueError that names every fault.
    """

    name: str
    marker: str
    project_id: int
    jobs: tuple[tuple[str, ...], ...]
    files: tuple[LocalFile, ...] = ()
    server_files: tuple[str, ...] = ()
    cloud_storage_id: int | None = None
    subset: str = ""
    image_quality: int = 95

    def __post_init__(self) -> None:
        names = [name for job in self.jobs for name in job]
        given = {file.name for file in self.files} | set(self.server_files)
        faults = []
        if not self.marker or self.marker not in self.name:
            faults.append(f"marker {self.marker!r} is no part of the name {self.name!r}")
        if bool(self.files) == bool(self.server_files):
            faults.append("exactly one of files and server_files must be given")
        if len(given) != len(self.files) + len(self.server_files):
            faults.append("two files have the same name")
        if not names or not all(self.jobs):
            faults.append("every job needs at least one file")
        if len(set(names)) != len(names):
            faults.append("a file stands in two places of the jobs")
        if lost := sorted(set(names) - given):
            faults.append(f"the jobs name files that are not given: {', '.join(lost[:5])}")
        if foldered := [file.name for file in self.files if "/" in file.name]:
            faults.append(f"local file names hold no folders, found {foldered[0]!r}")
        if faults:
            raise ValueError(f"task {self.name!r}: " + "; ".join(faults))


@dataclass(frozen=True)
class Webhook:
    """A webhook of a project."""

    id: int
    target_url: str
    events: tuple[str, ...]
    is_active: bool


@dataclass(frozen=True)
class Lease:
    """A bridge's sign that it works on a project; kept in CVAT, out of people's way.

    holder: the identity of its home. description: where it runs, for people. renewed: when it
    last gave a sign of life, by CVAT's clock.
    """

    id: int
    holder: str
    description: str
    renewed: str


@dataclass(frozen=True)
class WorkingTime:
    """How long people worked in jobs, by CVAT's analytics.

    seconds: by job id; a job that is not named has no event. own_only: this account sees no
    events but its own, so that others' work is not known.
    """

    seconds: Mapping[int, float]
    own_only: bool


@dataclass(frozen=True)
class FunctionInfo:
    """A function as CVAT's own list (GET /api/lambda/functions) shows it."""

    id: str
    kind: str
    name: str
    labels: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Written:
    """What a create returned: the objects with the ids that CVAT gave them."""

    tags: tuple[RawShape, ...] = field(default=())
    shapes: tuple[RawShape, ...] = field(default=())


class Gateway(Protocol):
    """What the bridge asks of CVAT."""

    def capabilities(self) -> Capabilities:
        """Return what the server can do; UnsupportedError below 2.48 or above 2.80 (major 2)."""
        ...

    def identity(self) -> Identity:
        """Say who we are; AuthenticationError when the credentials are not good."""
        ...

    def project(self, project_id: int) -> Project:
        """Read one project."""
        ...

    def last_changes(self, project_id: int) -> LastChanges:
        """Read when a project changed last: three requests, whatever it holds."""
        ...

    def projects(self) -> tuple[Project, ...]:
        """Read every project that we can see, by rising id."""
        ...

    def labels(
        self, *, project_id: int | None = None, task_id: int | None = None
    ) -> tuple[Label, ...]:
        """Read the labels of a project or of a task; exactly one of them is given."""
        ...

    def tasks(self, project_id: int) -> tuple[Task, ...]:
        """Read every task of a project, by rising id."""
        ...

    def task(self, task_id: int) -> Task:
        """Read one task."""
        ...

    def jobs(self, *, project_id: int | None = None, task_id: int | None = None) -> tuple[Job, ...]:
        """Read all jobs of a project or task, of every type, by rising id."""
        ...

    def job(self, job_id: int) -> Job:
        """Read one job."""
        ...

    def users(self) -> tuple[User, ...]:
        """Read the accounts that we can see (in the organization, where one is set)."""
        ...

    def media(self, task_id: int) -> Media:
        """Read what frames a task has and where their files lie."""
        ...

    def job_media(self, job_id: int) -> Media:
        """Read the frames that one job holds (only those, also for a ground-truth job)."""
        ...

    def frames(self, task_id: int, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Return the original-quality file of each frame asked for, in rising order.

        Whole chunks are fetched (and kept in a cache bounded in bytes), not one frame a request;
        frames of a video come as PNG.
        """
        ...

    def annotations(self, job_id: int) -> JobAnnotations:
        """Read the raw annotations of a job."""
        ...

    def create_annotations(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        known: JobAnnotations | None = None,
    ) -> Written:
        """Append to a job, without doubling when repeated.

        Objects equal to one that the job already holds (frame, label, type, points, source) are
        not written again; theirs is what comes back, one for each object given and in that
        order. Written in bounded pieces. known: what the job holds on these frames, where the
        caller knows it; saves reading the whole job before each of many calls.
        """
        ...

    def delete_annotations(self, job_id: int, shapes: Sequence[RawShape]) -> None:
        """Delete by id; ids that are gone already are no error."""
        ...

    def create_task(self, spec: NewTask) -> Task:
        """Make the task with its data and wait until its jobs exist, or find it by its marker.

        A task of that marker that never got its data (an earlier try died) is removed and made
        anew. Raises NotReadyError when CVAT takes longer than the time limit.
        """
        ...

    def find_task(self, project_id: int, marker: str) -> Task | None:
        """Find the task whose name holds the marker; None when there is none."""
        ...

    def delete_task(self, task_id: int) -> None:
        """Delete a task with all its jobs; one that is gone already is no error."""
        ...

    def update_job(
        self,
        job_id: int,
        *,
        assignee: int | None = None,
        state: JobState | None = None,
        stage: Stage | None = None,
    ) -> Job:
        """Change what is given. assignee is a user id; None leaves it as it is."""
        ...

    def set_deleted_frames(self, task_id: int, numbers: Sequence[int]) -> None:
        """Mark these frames deleted besides those that already are."""
        ...

    def guide(self, project_id: int) -> str:
        """Return the project's annotation guide; "" when there is none."""
        ...

    def set_guide(self, project_id: int, markdown: str) -> None:
        """Write the project's annotation guide (made when there is none)."""
        ...

    def create_issue(self, job_id: int, frame: int, message: str, position: Sequence[float]) -> int:
        """Pin a question to a place in a frame; returns the issue's id."""
        ...

    def issue_resolved(self, issue_id: int) -> bool:
        """Return whether people have resolved an issue; NotFoundError when it was deleted."""
        ...

    def working_time(self, project_id: int, since: str) -> WorkingTime:
        """Read how long people worked in a project's jobs since a time (ISO 8601, "" for ever).

        UnsupportedError where analytics is switched off on the server.
        """
        ...

    def webhooks(self, project_id: int) -> tuple[Webhook, ...]:
        """Read the webhooks of a project, by rising id."""
        ...

    def ensure_webhook(self, project_id: int, target_url: str, secret: str) -> Webhook:
        """Make the project's webhook to this address, or bring an existing one up to date."""
        ...

    def ping_webhook(self, webhook_id: int) -> int:
        """Let CVAT deliver a ping and return the status it got (0 when it could not connect)."""
        ...

    def leases(self, project_id: int) -> tuple[Lease, ...]:
        """Read the signs of the bridges that work on a project, by rising id."""
        ...

    def take_lease(self, project_id: int, holder: str, description: str) -> Lease:
        """Leave a sign of our own; a repeated call leaves another one.

        holder: hex digits. description: at most 100 characters. AuthenticationError where this
        account may not.
        """
        ...

    def renew_lease(self, lease: Lease) -> Lease:
        """Return a sign of life; NotFoundError when somebody took the lease away."""
        ...

    def drop_lease(self, lease: Lease) -> None:
        """Take a sign away; one that is gone already is no error."""
        ...

    def functions(self) -> tuple[FunctionInfo, ...]:
        """Read the models that CVAT lists; UnreachableError where it cannot reach their host."""
        ...
