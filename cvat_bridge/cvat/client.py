"""CVAT over HTTP: the Gateway on cvat-sdk. The protocol documents the methods."""

# ruff: noqa: D102 - see gateway.Gateway

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

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
    Task,
    User,
    Webhook,
    WorkingTime,
    Written,
)
from cvat_bridge.cvat.rest import (
    analytics,
    chunks,
    creation,
    job_annotations,
    leases,
    media,
    notes,
    raw,
    subscriptions,
)
from cvat_bridge.cvat.rest.connection import Connection, Password
from cvat_bridge.cvat.rest.retries import Patience
from cvat_bridge.errors import ConfigError, UnreachableError
from cvat_bridge.secrecy import clean_password, clean_token, remember

if TYPE_CHECKING:
    from typing_extensions import Self

PAGE_SIZE = 200
TASK_PATIENCE = 5.0  # times the patience: CVAT reads a new task's files one by one


def connect(
    url: str,
    *,
    token: str | None = None,
    username: str | None = None,
    password: str | None = None,
    organization: str | None = None,
    ca_bundle: Path | None = None,
    cache_dir: Path,
    cache_bytes: int = 2 << 30,
    timeout: float = 60.0,
    patience: float = 120.0,
    page_size: int = PAGE_SIZE,
) -> CvatClient:
    """Sign in to a server.

    token: a personal access token that may write; otherwise username and password.
    organization: its slug; "" is the personal workspace, None everything we can see.
    ca_bundle: PEM file of the authorities that are believed, None for those of this machine.
    cache_dir, cache_bytes: where frames are kept, and how many bytes of them.
    timeout: seconds that a server may be silent. patience: seconds that one operation may take
    with its repetitions. Raises ConfigError, AuthenticationError, UnreachableError,
    CertificateError.
    """
    token, password = clean_token("the access token", token), clean_password(password)
    remember(token, password)
    if (username is None) != (password is None):
        raise ConfigError(["a user name and a password go together"])
    login = Password(username, password) if username and password else None
    line = Connection(
        url,
        token=token,
        password=login,
        organization=organization,
        ca_bundle=ca_bundle,
        timeout=timeout,
        patience=Patience(total=patience),
        page_size=page_size,
        cache_dir=cache_dir,
    )
    server = hashlib.sha256(line.url.encode()).hexdigest()[:12]
    return CvatClient(line, chunks.ChunkCache(cache_dir / "chunks" / server, cache_bytes))


class CvatClient:
    """Implements cvat_bridge.cvat.gateway.Gateway; may be used from several threads."""

    def __init__(self, net: Connection, cache: chunks.ChunkCache) -> None:
        self._net, self._cache = net, cache
        self._capabilities: Capabilities | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the connections."""
        self._net.close()

    def capabilities(self) -> Capabilities:
        if self._capabilities is None:
            about = self._net.get("/api/server/about", "the server's version")
            self._capabilities = raw.capabilities(about)
        return self._capabilities

    def identity(self) -> Identity:
        row = self._net.get("/api/users/self", "our own account")
        admin = bool(row.get("is_superuser")) or "admin" in (row.get("groups") or ())
        read_only = self._net.probe_token()
        return Identity(User(int(row["id"]), str(row["username"])), read_only, is_admin=admin)

    def project(self, project_id: int) -> Project:
        return raw.project(self._net.get(f"/api/projects/{project_id}", f"project {project_id}"))

    def last_changes(self, project_id: int) -> LastChanges:
        project = self.project(project_id)
        query = {"project_id": project_id}
        tasks, task = self._net.newest("/api/tasks", f"tasks of project {project_id}", query)
        jobs, job = self._net.newest("/api/jobs", f"jobs of project {project_id}", query)
        return LastChanges(project.updated_date, tasks, task, jobs, job)

    def organization_slug(self, organization_id: int) -> str:
        """Return the short name of an organization, by which requests name it."""
        path = f"/api/organizations/{organization_id}"
        return str(self._net.get(path, f"organization {organization_id}")["slug"])

    def projects(self) -> tuple[Project, ...]:
        return tuple(raw.project(row) for row in self._net.pages("/api/projects", "projects"))

    def labels(
        self, *, project_id: int | None = None, task_id: int | None = None
    ) -> tuple[Label, ...]:
        query, subject = _scope(project_id, task_id)
        self._exists(project_id, task_id)  # CVAT answers 500 or nothing for a missing one
        rows = self._net.pages("/api/labels", f"labels of {subject}", query=query)
        return tuple(raw.label(row) for row in rows if not row.get("has_parent"))

    def tasks(self, project_id: int) -> tuple[Task, ...]:
        rows = self._net.pages(
            "/api/tasks", f"tasks of project {project_id}", query={"project_id": project_id}
        )
        if not rows:
            self._exists(project_id, None)
        replicas: dict[int, int] = {}
        if any(self._jobs_tell_replicas(row) for row in rows):
            replicas = self._replicas(f"jobs of project {project_id}", project_id=project_id)
        return tuple(raw.task(row, consensus_replicas=replicas.get(row["id"], 0)) for row in rows)

    def task(self, task_id: int) -> Task:
        row = self._net.get(f"/api/tasks/{task_id}", f"task {task_id}")
        replicas: dict[int, int] = {}
        if self._jobs_tell_replicas(row):
            replicas = self._replicas(f"jobs of task {task_id}", task_id=task_id)
        return raw.task(row, consensus_replicas=replicas.get(task_id, 0))

    def _jobs_tell_replicas(self, row: dict[str, Any]) -> bool:
        """Return whether a task may have consensus replicas; from 2.80 on it does not say."""
        enabled = row.get("consensus_enabled")
        return self.capabilities().version >= (2, 80) if enabled is None else bool(enabled)

    def _replicas(self, subject: str, **scope: int) -> dict[int, int]:
        """Return how many replicas the jobs of each task have, by task."""
        jobs = self._net.pages("/api/jobs", subject, query={**scope, "type": "annotation"})
        found: dict[int, int] = {}
        for job in jobs:
            most = max(found.get(job["task_id"], 0), int(job.get("replicas_count") or 0))
            found[job["task_id"]] = most
        return found

    def jobs(self, *, project_id: int | None = None, task_id: int | None = None) -> tuple[Job, ...]:
        query, subject = _scope(project_id, task_id)
        rows = self._net.pages("/api/jobs", f"jobs of {subject}", query=query)
        if not rows:
            self._exists(project_id, task_id)
        return tuple(raw.job(row) for row in rows)

    def _exists(self, project_id: int | None, task_id: int | None) -> None:
        """Raise NotFoundError for a missing project or task, whose lists are merely empty."""
        if task_id is not None:
            self._net.get(f"/api/tasks/{task_id}", f"task {task_id}")
        else:
            self._net.get(f"/api/projects/{project_id}", f"project {project_id}")

    def job(self, job_id: int) -> Job:
        return raw.job(self._net.get(f"/api/jobs/{job_id}", f"job {job_id}"))

    def users(self) -> tuple[User, ...]:
        rows = self._net.pages("/api/users", "users")
        return tuple(User(int(row["id"]), str(row["username"])) for row in rows)

    def media(self, task_id: int) -> Media:
        return media.read_task(self._net, task_id)[0]

    def job_media(self, job_id: int) -> Media:
        return media.read_job(self._net, job_id)

    def frames(self, task_id: int, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        if not numbers:
            return
        known, source = media.read_task(self._net, task_id)
        jobs = self.jobs(task_id=task_id)
        yield from chunks.frames(self._net, self._cache, known, source.chunks_date, jobs, numbers)

    def annotations(self, job_id: int) -> JobAnnotations:
        return job_annotations.read(self._net, job_id)

    def create_annotations(
        self,
        job_id: int,
        *,
        shapes: Sequence[RawShape] = (),
        tags: Sequence[RawShape] = (),
        known: JobAnnotations | None = None,
    ) -> Written:
        return job_annotations.create(
            self._net,
            job_id,
            shapes=shapes,
            tags=tags,
            scores=self.capabilities().score,
            known=known,
        )

    def delete_annotations(self, job_id: int, shapes: Sequence[RawShape]) -> None:
        job_annotations.delete(self._net, job_id, shapes)

    def create_task(self, spec: NewTask) -> Task:
        project = self.project(spec.project_id)
        wait = replace(self._net.patience, total=TASK_PATIENCE * self._net.patience.total)
        return creation.create(
            self._net,
            spec,
            find=lambda: self.find_task(spec.project_id, spec.marker),
            strays=lambda made: [
                task
                for task in self.tasks(spec.project_id)
                if spec.marker in task.name and not task.size and task.id != made
            ],
            organization=project.organization,
            wait=wait,
        )

    def find_task(self, project_id: int, marker: str) -> Task | None:
        named = [task for task in self.tasks(project_id) if marker in task.name]
        return min(named, key=lambda task: (task.size == 0, task.id), default=None)

    def delete_task(self, task_id: int) -> None:
        creation.delete(self._net, task_id)

    def update_job(
        self,
        job_id: int,
        *,
        assignee: int | None = None,
        state: JobState | None = None,
        stage: Stage | None = None,
    ) -> Job:
        given = {"assignee": assignee, "state": state, "stage": stage}
        body = {name: value for name, value in given.items() if value is not None}
        if not body:
            return self.job(job_id)
        path = f"/api/jobs/{job_id}"
        try:
            return raw.job(self._net.call("PATCH", path, "change", f"job {job_id}", body=body))
        except UnreachableError as error:
            if error.status == 500 and assignee is not None:
                # How CVAT answers when there is no such user: NotFoundError says so.
                self._net.get(f"/api/users/{assignee}", f"user {assignee}")
            raise

    def set_deleted_frames(self, task_id: int, numbers: Sequence[int]) -> None:
        held = self.media(task_id).deleted
        if held.issuperset(numbers):
            return
        self._net.call(
            "PATCH",
            f"/api/tasks/{task_id}/data/meta",
            "mark deleted frames of",
            f"task {task_id}",
            body={"deleted_frames": sorted(held.union(numbers))},
        )

    def guide(self, project_id: int) -> str:
        return notes.guide(self._net, project_id)

    def set_guide(self, project_id: int, markdown: str) -> None:
        notes.set_guide(self._net, project_id, markdown)

    def create_issue(self, job_id: int, frame: int, message: str, position: Sequence[float]) -> int:
        self.job(job_id)  # a missing one is a 400 that does not say so
        return notes.create_issue(self._net, job_id, frame, message, position)

    def issue_resolved(self, issue_id: int) -> bool:
        return notes.issue_resolved(self._net, issue_id)

    def working_time(self, project_id: int, since: str) -> WorkingTime:
        alone = not self._net.organization and not self.identity().is_admin
        return analytics.working_time(self._net, project_id, since, own_only=alone)

    def webhooks(self, project_id: int) -> tuple[Webhook, ...]:
        hooks = subscriptions.read(self._net, project_id)
        if not hooks:
            self._exists(project_id, None)
        return hooks

    def ensure_webhook(self, project_id: int, target_url: str, secret: str) -> Webhook:
        self._exists(project_id, None)
        return subscriptions.ensure(self._net, project_id, target_url, secret)

    def ping_webhook(self, webhook_id: int) -> int:
        return subscriptions.ping(self._net, webhook_id)

    def leases(self, project_id: int) -> tuple[Lease, ...]:
        return leases.read(self._net, project_id)

    def take_lease(self, project_id: int, holder: str, description: str) -> Lease:
        return leases.take(self._net, project_id, holder, description)

    def renew_lease(self, lease: Lease) -> Lease:
        return leases.renew(self._net, lease)

    def drop_lease(self, lease: Lease) -> None:
        leases.drop(self._net, lease)

    def functions(self) -> tuple[FunctionInfo, ...]:
        try:
            # CVAT asks its function host: waiting does not start one that is down.
            rows = self._net.call(
                "GET", "/api/lambda/functions", "read", "CVAT's functions", wait_out=False
            )
        except UnreachableError as error:
            raise UnreachableError(
                error.operation,
                error.subject,
                error.status,
                error.detail,
                "CVAT cannot reach its function host: start it, and check CVAT_NUCLIO_HOST and "
                "CVAT_NUCLIO_PORT of CVAT's containers",
            ) from error
        return tuple(raw.function(row) for row in rows)


def _scope(project_id: int | None, task_id: int | None) -> tuple[dict[str, int], str]:
    if (project_id is None) == (task_id is None):
        raise ValueError("exactly one of project_id and task_id must be given")
    if project_id is not None:
        return {"project_id": project_id}, f"project {project_id}"
    return {"task_id": task_id or 0}, f"task {task_id}"
