"""Jobs."""

from __future__ import annotations

import json
from typing import Any

from cvat_bridge.sandbox.accounts import permissions, users, workspaces
from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.resources import records
from cvat_bridge.sandbox.resources.projects import STATUSES, account, names, storage
from cvat_bridge.sandbox.resources.removal import remove_job
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid
from cvat_bridge.sandbox.web.listing import Index, listed

STATES = ("new", "in progress", "completed", "rejected")
STAGES = ("annotation", "validation", "acceptance")
TYPES = ("annotation", "ground_truth", "consensus_replica", "replica")
_NAMES = (
    "task_name",
    "project_name",
    "assignee",
    "state",
    "stage",
    "task_id",
    "project_id",
    "type",
    "parent_job_id",
    "dimension",
    "media_type",
    "mode",
)
_INDEX = Index(
    equal=_NAMES,
    logic=(*_NAMES, "id", "updated_date"),
    numeric=("task_id", "project_id", "parent_job_id"),
    search=("task_name", "project_name", "assignee"),
    choices={
        "state": STATES,
        "stage": STAGES,
        "type": TYPES,
        "status": STATUSES,
        "dimension": ("1d", "2d", "3d"),
        "mode": ("annotation", "interpolation"),
    },
)
_PATCH: dict[str, fields.Check] = {
    "assignee": fields.nullable(lambda value: value),
    "stage": fields.choice(*STAGES),
    "state": fields.choice(*STATES),
}


def frames(job: Row) -> list[int]:
    """Return the task-relative frames of a job, in order."""
    if job["frames"]:
        return list(json.loads(job["frames"]))
    return list(range(job["start_frame"], job["stop_frame"] + 1))


def add(call: Call, task_id: int, kind: str, start: int, stop: int, **columns: Any) -> int:
    """Add a job of a task and give its id."""
    time = now()
    job_id = call.db.insert(
        "job",
        task_id=task_id,
        type=kind,
        stage="annotation",
        state="new",
        status="annotation",
        start_frame=start,
        stop_frame=stop,
        created_date=time,
        updated_date=time,
        **columns,
    )
    events.created(call, "job", job_id)
    return job_id


def view(call: Call, row: Row, task: Row | None = None) -> dict[str, Any]:
    """Return a job as the API has it."""
    task = task or call.db.get("task", row["task_id"]) or {}
    project = call.db.get("project", task["project_id"])
    staff = permissions.staff_of_task(call, task)  # who only works on the job sees no names
    data = call.db.get("data", task["data_id"]) or {}
    issues = call.db.scalar("SELECT count(*) FROM issue WHERE job_id = ?", row["id"])
    replicas = call.db.scalar("SELECT count(*) FROM job WHERE parent_job_id = ?", row["id"])
    asked = task["consensus_replicas"] if row["type"] == "annotation" else 0
    guide = call.db.scalar(
        "SELECT id FROM guide WHERE task_id = ? OR project_id = ? "
        "ORDER BY project_id IS NULL LIMIT 1",
        task["id"],
        task["project_id"],
    )
    return {
        "url": call.url(f"/api/jobs/{row['id']}"),
        "id": row["id"],
        "task_id": task["id"],
        "task_name": task["name"] if staff else None,
        "project_id": task["project_id"],
        "project_name": project["name"] if project and staff else None,
        "assignee": users.basic(call, row["assignee_id"]),
        "guide_id": guide,
        "dimension": task["dimension"],
        "mode": task["mode"],
        "media_type": task["media_type"],
        "bug_tracker": project["bug_tracker"] if project else None,
        "status": row["status"],
        "stage": row["stage"],
        "state": row["state"],
        "frame_count": len(frames(row)),
        "start_frame": row["start_frame"],
        "stop_frame": row["stop_frame"],
        "data_chunk_size": data.get("chunk_size"),
        "data_compressed_chunk_type": data.get("compressed_type"),
        "data_original_chunk_type": data.get("original_type"),
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "issues": {"url": call.url(f"/api/issues?job_id={row['id']}"), "count": issues},
        "labels": {"url": call.url(f"/api/labels?job_id={row['id']}")},
        "type": _type(call, row),
        "organization": task["organization_id"],
        "target_storage": storage(task["target_storage"]),
        "source_storage": storage(task["source_storage"]),
        "assignee_updated_date": row["assignee_updated_date"],
        "parent_job_id": row["parent_job_id"],
        "replicas_count": replicas,
        **({} if call.state.names_replicas else {"consensus_replicas": asked}),
    }


def _type(call: Call, row: Row) -> str:
    replica = row["type"] == "consensus_replica" and call.state.names_replicas
    return "replica" if replica else str(row["type"])


def _list(call: Call) -> Answer:
    workspace, known = workspaces.context(call), names(call)
    tasks = {row["id"]: row for row in call.db.all("SELECT * FROM task")}
    projects = {row["id"]: row["name"] for row in call.db.all("SELECT id, name FROM project")}
    runs = {key: permissions.staff_of_task(call, task) for key, task in tasks.items()}
    rows = []
    for job in call.db.all("SELECT * FROM job"):
        task = tasks[job["task_id"]]
        seen = runs[task["id"]] or job["assignee_id"] == call.user["id"]
        if seen and workspace.holds(task["organization_id"]):
            extra = {name: task[name] for name in ("project_id", "dimension", "media_type", "mode")}
            rows.append(
                {
                    **job,
                    "type": _type(call, job),
                    **extra,
                    "assignee": known.get(job["assignee_id"]),
                    "task_name": task["name"],
                    "project_name": projects.get(task["project_id"]),
                }
            )
    return listed(call, rows, _INDEX, lambda row: view(call, row, tasks[row["task_id"]]))


def _patch(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    body = call.fields()
    if {"assignee", "stage"} & set(body):
        permissions.job(call, job_id, staff=True)
    taken = fields.take(body, _PATCH, closed=True)
    columns: dict[str, Any] = {name: taken[name] for name in ("state", "stage") if name in taken}
    if taken.get("stage", job["stage"]) != job["stage"] and "state" not in taken:
        columns["state"] = "new"
    if "assignee" in taken:
        assignee = taken["assignee"]
        if assignee is not None and not isinstance(assignee, int):
            raise ValueError(f"assignee must be the id of a user, got {assignee!r}")
        if assignee != job["assignee_id"]:
            permissions.give_job(call, task, assignee)
            columns["assignee_id"] = account(call, assignee)
            columns["assignee_updated_date"] = now()
    stage, state = columns.get("stage", job["stage"]), columns.get("state", job["state"])
    if "state" in columns or "stage" in columns:
        done = stage == "acceptance" and state == "completed"
        columns["status"] = (
            "completed" if done else ("annotation" if stage == "annotation" else "validation")
        )
    records.change(call, "job", job_id, updated_date=now(), **columns)
    _set_task_status(call, task)
    return Answer(200, view(call, *permissions.job(call, job_id)))


def _set_task_status(call: Call, task: Row) -> None:
    """Let the task be as far as the least of its jobs."""
    found = call.db.all(
        "SELECT DISTINCT status FROM job WHERE task_id = ? AND type = 'annotation'", task["id"]
    )
    statuses = {row["status"] for row in found}
    status = next((one for one in STATUSES if one in statuses), "annotation")
    if status != task["status"]:
        records.change(call, "task", task["id"], status=status)


def _delete(call: Call, job_id: int) -> Answer:
    job, _ = permissions.job(call, job_id, staff=True)
    if job["type"] != "ground_truth":
        raise invalid("Only ground truth jobs can be removed")
    events.deleted(call, "job", job_id)
    remove_job(call, job_id)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/jobs", _list),
    Route(
        "GET",
        "/api/jobs/{job_id:int}",
        lambda call, job_id: Answer(200, view(call, *permissions.job(call, job_id))),
    ),
    Route("PATCH", "/api/jobs/{job_id:int}", _patch),
    Route("DELETE", "/api/jobs/{job_id:int}", _delete),
)
