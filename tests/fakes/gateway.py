"""The Gateway in memory, over a FakeServer; it can be told to fail.

gateway = FakeGateway(server)
gateway.fail("create_task", error)              # before anything happens
gateway.fail("create_task", error, after=True)  # the work is done, the answer lost
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from cvat_bridge.cvat.gateway import (
    Capabilities,
    FunctionInfo,
    Identity,
    Job,
    JobAnnotations,
    JobState,
    Label,
    LastChanges,
    Lease,
    Media,
    NewTask,
    Project,
    RawShape,
    Stage,
    Storage,
    Task,
    User,
    Webhook,
    WorkingTime,
    Written,
)
from cvat_bridge.cvat.shape_equality import missing_shapes, missing_tags, written
from cvat_bridge.errors import (
    AuthenticationError,
    GatewayError,
    NotFoundError,
    NotReadyError,
    UnsupportedError,
)
from tests.fakes.server import FakeServer, Stored

EVENTS = ("create:job", "delete:job", "update:job")


class FakeGateway:
    """Implements cvat_bridge.cvat.gateway.Gateway. calls counts the methods called."""

    def __init__(
        self, server: FakeServer, *, user: User | None = None, read_only: bool | None = False
    ) -> None:
        self.server = server
        self.user = user or server.robot
        self.read_only = read_only
        self.calls: Counter[str] = Counter()
        self._before: dict[str, list[Exception]] = {}
        self._after: dict[str, list[Exception]] = {}

    def fail(self, method: str, *errors: Exception, after: bool = False) -> None:
        """Make the next calls of a method raise these errors, one a call."""
        if not hasattr(self, method):
            raise ValueError(f"the gateway has no method {method!r}")
        (self._after if after else self._before).setdefault(method, []).extend(errors)

    def _enter(self, method: str, *, writes: bool = False) -> None:
        self.calls[method] += 1
        if self._before.get(method):
            raise self._before[method].pop(0)
        if writes and self.read_only:
            raise AuthenticationError(
                method, "with this token", 403, "the token is read-only", "make a read-write one"
            )

    def _leave(self, method: str) -> None:
        if self._after.get(method):
            raise self._after[method].pop(0)

    def capabilities(self) -> Capabilities:
        self._enter("capabilities")
        version = self.server.version
        return Capabilities(
            version=version,
            access_tokens=version >= (2, 48, 0),
            media_storage=version >= (2, 44, 0),
            score=version >= (2, 56, 0),
            shapes_answer=version >= (2, 60, 0),
            webhook_changes=version >= (2, 73, 0),
            intervals=version >= (2, 66, 0),
        )

    def identity(self) -> Identity:
        self._enter("identity")
        return Identity(self.user, self.read_only, is_admin=False)

    def project(self, project_id: int) -> Project:
        self._enter("project")
        return self._project(project_id)

    def _project(self, project_id: int) -> Project:
        if project_id not in self.server.projects:
            raise NotFoundError("read", f"project {project_id}", 404, "Not found.")
        return self.server.projects[project_id]

    def last_changes(self, project_id: int) -> LastChanges:
        self._enter("last_changes")
        project = self._project(project_id)
        tasks = [s.task for s in self.server.tasks.values() if s.task.project_id == project_id]
        jobs = [job for job in self.server.jobs.values() if job.project_id == project_id]
        newest_task, newest_job = (
            max((row.updated_date for row in rows), default="") for rows in (tasks, jobs)
        )
        return LastChanges(project.updated_date, len(tasks), newest_task, len(jobs), newest_job)

    def projects(self) -> tuple[Project, ...]:
        self._enter("projects")
        return tuple(project for _, project in sorted(self.server.projects.items()))

    def labels(
        self, *, project_id: int | None = None, task_id: int | None = None
    ) -> tuple[Label, ...]:
        self._enter("labels")
        project = project_id if task_id is None else self._stored(task_id).task.project_id
        if project is None:
            raise ValueError("exactly one of project_id and task_id must be given")
        return self.server.labels[self._project(project).id]

    def tasks(self, project_id: int) -> tuple[Task, ...]:
        self._enter("tasks")
        self._project(project_id)
        stored = [stored for _, stored in sorted(self.server.tasks.items())]
        return tuple(one.task for one in stored if one.task.project_id == project_id)

    def task(self, task_id: int) -> Task:
        self._enter("task")
        return self._stored(task_id).task

    def _stored(self, task_id: int) -> Stored:
        if task_id not in self.server.tasks:
            raise NotFoundError("read", f"task {task_id}", 404, "Not found.")
        return self.server.tasks[task_id]

    def jobs(self, *, project_id: int | None = None, task_id: int | None = None) -> tuple[Job, ...]:
        self._enter("jobs")
        if (project_id is None) == (task_id is None):
            raise ValueError("exactly one of project_id and task_id must be given")
        if task_id is not None:
            self._stored(task_id)
        if project_id is not None:
            self._project(project_id)
        return tuple(
            job
            for _, job in sorted(self.server.jobs.items())
            if (job.task_id == task_id if project_id is None else job.project_id == project_id)
        )

    def job(self, job_id: int) -> Job:
        self._enter("job")
        return self._job(job_id)

    def _job(self, job_id: int) -> Job:
        if job_id not in self.server.jobs:
            raise NotFoundError("read", f"job {job_id}", 404, "Not found.")
        return self.server.jobs[job_id]

    def users(self) -> tuple[User, ...]:
        self._enter("users")
        return tuple(user for _, user in sorted(self.server.users.items()))

    def media(self, task_id: int) -> Media:
        self._enter("media")
        return self._media(task_id)

    def _media(self, task_id: int) -> Media:
        stored = self._stored(task_id)
        if not stored.frames:
            raise NotReadyError(f"frames of task {task_id}: no data is attached yet")
        return Media(
            task_id=task_id,
            frames=stored.frames,
            deleted=frozenset(stored.deleted),
            storage=stored.storage,
            cloud_storage_id=stored.cloud_storage_id,
            is_video=stored.is_video,
            chunk_size=36,
        )

    def job_media(self, job_id: int) -> Media:
        self._enter("job_media")
        job = self._job(job_id)
        media = self._media(job.task_id)
        included = self.server.included.get(job_id)
        wanted = included or frozenset(range(job.start_frame, job.stop_frame + 1))
        return replace(
            media,
            frames=tuple(frame for frame in media.frames if frame.number in wanted),
            deleted=media.deleted & wanted,
            included=included,
        )

    def frames(self, task_id: int, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        self._enter("frames")
        stored = self._stored(task_id)
        wanted = sorted(set(numbers))
        for number in wanted:
            if not 0 <= number < len(stored.files):
                raise NotFoundError("read", f"frame {number} of task {task_id}", 404, "Not found.")
        yield from ((number, stored.files[number]) for number in wanted)
        self._leave("frames")

    def annotations(self, job_id: int) -> JobAnnotations:
        self._enter("annotations")
        self._job(job_id)
        return copy.deepcopy(self.server.annotations[job_id])

    def create_annotations(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        known: JobAnnotations | None = None,
    ) -> Written:
        self._enter("create_annotations", writes=True)
        labels = {label.id for label in self.server.labels[self._job(job_id).project_id or 0]}
        for one in (*shapes, *tags):
            if one["label_id"] not in labels:
                raise GatewayError(
                    "write to", f"job {job_id}", 400, f"label_id `{one['label_id']}` is invalid"
                )
        held = self.server.annotations[job_id] if known is None else known
        self.server.annotate(
            job_id,
            shapes=missing_shapes(shapes, held.shapes),
            tags=missing_tags(tags, held.tags),
        )
        held = copy.deepcopy(self.server.annotations[job_id])
        answer = written(shapes=shapes, tags=tags, held_shapes=held.shapes, held_tags=held.tags)
        self._leave("create_annotations")
        return answer

    def delete_annotations(self, job_id: int, shapes: Sequence[RawShape]) -> None:
        self._enter("delete_annotations", writes=True)
        self._job(job_id)
        self.server.remove(job_id, [int(shape["id"]) for shape in shapes])
        self._leave("delete_annotations")

    def create_task(self, spec: NewTask) -> Task:
        self._enter("create_task", writes=True)
        self._project(spec.project_id)
        found = self._find(spec.project_id, spec.marker)
        if found is not None and found.size:
            return found
        if found is not None:
            self.server.drop_task(found.id)
        if spec.files:
            images = {file.name: file.content for file in spec.files}
            storage: Storage = "local"
        elif spec.cloud_storage_id is None:
            images, storage = self.server.share, "share"
        else:
            images, storage = self.server.cloud[spec.cloud_storage_id], "cloud_storage"
        try:
            task = self.server.add_task(
                spec.project_id,
                images,
                name=spec.name,
                jobs=spec.jobs,
                subset=spec.subset,
                storage=storage,
                cloud_storage_id=spec.cloud_storage_id,
            )
        except OSError as error:  # Pillow's
            raise GatewayError("make", f"task {spec.name!r}", 200, str(error)) from error
        self._leave("create_task")
        return task

    def find_task(self, project_id: int, marker: str) -> Task | None:
        self._enter("find_task")
        self._project(project_id)
        return self._find(project_id, marker)

    def _find(self, project_id: int, marker: str) -> Task | None:
        named = [
            stored.task
            for stored in self.server.tasks.values()
            if stored.task.project_id == project_id and marker in stored.task.name
        ]
        return min(named, key=lambda task: (task.size == 0, task.id), default=None)

    def delete_task(self, task_id: int) -> None:
        self._enter("delete_task", writes=True)
        if task_id in self.server.tasks:
            self.server.drop_task(task_id)
        self._leave("delete_task")

    def update_job(
        self,
        job_id: int,
        *,
        assignee: int | None = None,
        state: JobState | None = None,
        stage: Stage | None = None,
    ) -> Job:
        self._enter("update_job", writes=True)
        changes: dict[str, Any] = {"updated_date": self.server.now()}
        if assignee is not None:
            if assignee not in self.server.users:
                raise NotFoundError("read", f"user {assignee}", 404, "Not found.")
            changes["assignee"] = self.server.users[assignee]
        if stage is not None:
            changes.update(stage=stage, state="new")  # CVAT resets the state with the stage
        if state is not None:
            changes["state"] = state
        self.server.jobs[job_id] = replace(self._job(job_id), **changes)
        self._leave("update_job")
        return self.server.jobs[job_id]

    def set_deleted_frames(self, task_id: int, numbers: Sequence[int]) -> None:
        self._enter("set_deleted_frames", writes=True)
        self._stored(task_id).deleted.update(numbers)
        self.server.touch_task(task_id)
        self._leave("set_deleted_frames")

    def guide(self, project_id: int) -> str:
        self._enter("guide")
        return self.server.guides.get(self._project(project_id).id, "")

    def set_guide(self, project_id: int, markdown: str) -> None:
        self._enter("set_guide", writes=True)
        self.server.guides[self._project(project_id).id] = markdown
        self._leave("set_guide")

    def create_issue(self, job_id: int, frame: int, message: str, position: Sequence[float]) -> int:
        self._enter("create_issue", writes=True)
        self._job(job_id)
        issue = {"job": job_id, "frame": frame, "message": message, "position": list(position)}
        for number, held in self.server.issues.items():
            if held == issue:
                return number
        number = self.server.next_id()
        self.server.issues[number] = issue
        self._leave("create_issue")
        return number

    def issue_resolved(self, issue_id: int) -> bool:
        self._enter("issue_resolved")
        if issue_id not in self.server.issues:
            raise NotFoundError("read", f"issue {issue_id}", 404, "Not found.")
        return issue_id in self.server.resolved

    def working_time(self, project_id: int, since: str) -> WorkingTime:
        self._enter("working_time")
        self._project(project_id)
        if self.server.worked is None:
            raise UnsupportedError("read", "working time", 200, "analytics is switched off")
        return WorkingTime(dict(self.server.worked), own_only=False)

    def webhooks(self, project_id: int) -> tuple[Webhook, ...]:
        self._enter("webhooks")
        self._project(project_id)
        return tuple(
            hook for project, hook, _ in self.server.webhooks.values() if project == project_id
        )

    def ensure_webhook(self, project_id: int, target_url: str, secret: str) -> Webhook:
        self._enter("ensure_webhook", writes=True)
        self._project(project_id)
        for number, (project, hook, _) in self.server.webhooks.items():
            if project == project_id and hook.target_url == target_url:
                mended = replace(hook, is_active=True)
                self.server.webhooks[number] = (project_id, mended, secret)
                return mended
        hook = Webhook(self.server.next_id(), target_url, EVENTS, is_active=True)
        self.server.webhooks[hook.id] = (project_id, hook, secret)
        self._leave("ensure_webhook")
        return hook

    def ping_webhook(self, webhook_id: int) -> int:
        self._enter("ping_webhook", writes=True)
        if webhook_id not in self.server.webhooks:
            raise NotFoundError("ping", f"webhook {webhook_id}", 404, "Not found.")
        return self.server.webhook_status

    def leases(self, project_id: int) -> tuple[Lease, ...]:
        self._enter("leases")
        self._project(project_id)
        rows = sorted(self.server.leases.items())
        return tuple(lease for _, (project, lease) in rows if project == project_id)

    def take_lease(self, project_id: int, holder: str, told: str) -> Lease:
        self._enter("take_lease", writes=True)
        self._project(project_id)
        lease = Lease(self.server.next_id(), holder, told, self.server.now())
        self.server.leases[lease.id] = (project_id, lease)
        self._leave("take_lease")
        return lease

    def renew_lease(self, lease: Lease) -> Lease:
        self._enter("renew_lease", writes=True)
        if lease.id not in self.server.leases:
            raise NotFoundError("renew", f"lease {lease.id}", 404, "Not found.")
        project, held = self.server.leases[lease.id]
        renewed = replace(held, renewed=self.server.now())
        self.server.leases[lease.id] = (project, renewed)
        self._leave("renew_lease")
        return renewed

    def drop_lease(self, lease: Lease) -> None:
        self._enter("drop_lease", writes=True)
        self.server.leases.pop(lease.id, None)
        self._leave("drop_lease")

    def functions(self) -> tuple[FunctionInfo, ...]:
        self._enter("functions")
        return tuple(self.server.functions)
