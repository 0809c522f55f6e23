"""Tasks."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.accounts import permissions, users, workspaces
from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.resources import labels, moving, records, removal
from cvat_bridge.sandbox.resources.projects import STATUSES, account, names, storage, storages
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import forbidden, invalid
from cvat_bridge.sandbox.web.listing import Index, listed

_LOGIC = (
    "project_name",
    "name",
    "owner",
    "status",
    "assignee",
    "subset",
    "mode",
    "dimension",
    "tracker_link",
    "validation_mode",
    "media_type",
    "id",
    "project_id",
    "updated_date",
)
_INDEX = Index(
    equal=(
        "project_name",
        "name",
        "owner",
        "assignee",
        "subset",
        "tracker_link",
        "project_id",
        "status",
        "media_type",
        "mode",
        "dimension",
        "validation_mode",
    ),
    logic=_LOGIC,
    numeric=("project_id",),
    search=("project_name", "name", "owner", "assignee", "subset", "tracker_link"),
    choices={
        "status": STATUSES,
        "mode": ("annotation", "interpolation"),
        "dimension": ("1d", "2d", "3d"),
        "validation_mode": ("gt", "gt_pool"),
    },
)


def _replicas(value: Any) -> int:
    count: int = fields.integer()(value)
    if count and not 1 < count < 12:
        raise fields.FieldError(
            "Consensus replicas must be 0 or a positive number more than 1 "
            f"and less than 12, got {count}"
        )
    return count


_PATCH: dict[str, fields.Check] = {
    "name": fields.text(256, blank=False),
    "labels": labels.check,
    "bug_tracker": fields.text(2000),
    "owner_id": fields.nullable(fields.integer()),
    "assignee_id": fields.nullable(fields.integer()),
    "subset": fields.text(64),
    "project_id": fields.nullable(fields.integer()),
    "source_storage": fields.nullable(lambda value: value),
    "target_storage": fields.nullable(lambda value: value),
}
_CREATE = {
    **_PATCH,
    "overlap": fields.nullable(fields.integer(0)),
    "segment_size": fields.integer(0),
    "consensus_replicas": _replicas,
    "initial_replicas": _replicas,  # its name from 2.80 on
}


def _data_fields(data: Row | None) -> dict[str, Any]:
    if data is None:
        return {"data": None}
    if not data["size"]:
        storage_id = data["cloud_storage_id"]
        return {"data_cloud_storage_id": storage_id, "size": 0, "data": data["id"]}
    return {
        "data_chunk_size": data["chunk_size"],
        "data_original_chunk_type": data["original_type"],
        "data_compressed_chunk_type": data["compressed_type"],
        "data_cloud_storage_id": data["cloud_storage_id"],
        "size": data["size"],
        "image_quality": data["image_quality"],
        "data": data["id"],
    }


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return a task as the API has it."""
    project = call.db.get("project", row["project_id"])
    data = call.db.get("data", row["data_id"])
    jobs = call.db.all("SELECT state, stage FROM job WHERE task_id = ?", row["id"])
    done = sum(job["stage"] == "acceptance" and job["state"] == "completed" for job in jobs)
    return {
        "url": call.url(f"/api/tasks/{row['id']}"),
        "id": row["id"],
        "name": row["name"],
        "project_id": row["project_id"],
        "project_name": project["name"] if project else None,
        "owner": users.basic(call, row["owner_id"]),
        "assignee": users.basic(call, row["assignee_id"]),
        "bug_tracker": row["bug_tracker"],
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "overlap": row["overlap"],
        "segment_size": row["segment_size"],
        "status": row["status"],
        **_data_fields(data),
        "guide_id": call.db.scalar("SELECT id FROM guide WHERE task_id = ?", row["id"]),
        "dimension": row["dimension"],
        "mode": row["mode"],
        "media_type": row["media_type"],
        "subset": row["subset"],
        "organization_id": row["organization_id"],
        "organization": row["organization_id"],
        "target_storage": storage(row["target_storage"]),
        "source_storage": storage(row["source_storage"]),
        "jobs": {
            "count": len(jobs),
            "completed": done,
            "validation": sum(job["stage"] == "validation" for job in jobs),
            "url": call.url(f"/api/jobs?task_id={row['id']}"),
        },
        "labels": {"url": call.url(f"/api/labels?task_id={row['id']}")},
        "assignee_updated_date": row["assignee_updated_date"],
        "validation_mode": data["validation_mode"] if data else None,
        **(
            {"initial_replicas": row["consensus_replicas"] or 0}
            if call.state.names_replicas
            else {"consensus_enabled": bool(row["consensus_replicas"])}
        ),
    }


def _list(call: Call) -> Answer:
    workspace, known = workspaces.context(call), names(call)
    projects = {row["id"]: row["name"] for row in call.db.all("SELECT id, name FROM project")}
    modes = {
        row["id"]: row["validation_mode"]
        for row in call.db.all("SELECT id, validation_mode FROM data")
    }
    rows = [
        {
            **row,
            "owner": known.get(row["owner_id"]),
            "assignee": known.get(row["assignee_id"]),
            "project_name": projects.get(row["project_id"]),
            "tracker_link": row["bug_tracker"],
            "validation_mode": modes.get(row["data_id"]),
        }
        for row in call.db.all("SELECT * FROM task")
        if workspace.holds(row["organization_id"]) and permissions.staff_of_task(call, row)
    ]
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _CREATE, required=("name",))
    project_id = taken.get("project_id")
    if project_id is not None and taken.get("labels"):
        raise invalid("Task must have only one of Label set or project_id")
    workspace = workspaces.context(call)
    workspaces.may_create(call, workspace)
    organization_id = workspace.id
    if project_id is not None:
        project = call.db.get("project", project_id)
        if project is None:
            raise invalid("Project matching query does not exist.")
        if not permissions.staff_of_project(call, project):
            raise forbidden()
        if workspace.id != project["organization_id"]:
            raise invalid("The task and its project should be in the same organization.")
        organization_id = project["organization_id"]
    time = now()
    task_id = call.db.insert(
        "task",
        name=taken["name"],
        project_id=project_id,
        owner_id=call.user["id"],
        assignee_id=account(call, taken.get("assignee_id")),
        assignee_updated_date=time if taken.get("assignee_id") else None,
        bug_tracker=taken.get("bug_tracker", ""),
        status="annotation",
        created_date=time,
        updated_date=time,
        overlap=taken.get("overlap"),
        segment_size=taken.get("segment_size", 0),
        dimension="",
        mode="",
        media_type="",
        subset=taken.get("subset", ""),
        organization_id=organization_id,
        consensus_replicas=taken.get("initial_replicas") or taken.get("consensus_replicas", 0),
        **storages(taken),
    )
    labels.save(call, taken.get("labels", ()), task_id=task_id)
    events.created(call, "task", task_id)
    if project_id is not None:
        records.change(call, "project", project_id, updated_date=now())
    return Answer(201, view(call, permissions.task(call, task_id)))


def _patch(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    taken = fields.take(call.fields(), _PATCH, closed=True)
    if task["project_id"] is None:  # a project's labels are not changed through its tasks
        labels.save(call, taken.get("labels", ()), task_id=task_id)
    plain = ("name", "bug_tracker", "owner_id", "subset")
    seen: dict[str, str] = {}
    columns = {name: taken[name] for name in plain if name in taken}
    target = taken.get("project_id")
    if target is not None and target != task["project_id"]:
        columns["project_id"] = moving.to_project(call, task, target)
    if "assignee_id" in taken and taken["assignee_id"] != task["assignee_id"]:
        columns["assignee_id"] = account(call, taken["assignee_id"])
        seen["assignee_updated_date"] = now()  # CVAT tells this date once and does not keep it
    records.change(call, "task", task_id, updated_date=now(), **columns, **storages(taken))
    if task["project_id"] is not None:
        records.change(call, "project", task["project_id"], updated_date=now())
    return Answer(200, {**view(call, permissions.task(call, task_id)), **seen})


def _delete(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    if task["project_id"] is not None:
        records.change(call, "project", task["project_id"], updated_date=now())
    events.deleted(call, "task", task_id)
    removal.remove_task(call, task_id)
    return Answer(204)


def _status(call: Call, task_id: int) -> Answer:
    """Answer the old form of the creation request."""
    permissions.task(call, task_id)
    row = call.db.get("request", f"action=create&target=task&target_id={task_id}")
    if row is None:
        return Answer(200, {"state": "Unknown", "message": "", "progress": 0.0})
    return Answer(
        200,
        {
            "state": str(row["status"]).capitalize(),
            "message": row["message"],
            "progress": row["progress"],
        },
    )


ROUTES = (
    Route("GET", "/api/tasks", _list),
    Route("POST", "/api/tasks", _create),
    Route(
        "GET",
        "/api/tasks/{task_id:int}",
        lambda call, task_id: Answer(200, view(call, permissions.task(call, task_id))),
    ),
    Route("PATCH", "/api/tasks/{task_id:int}", _patch),
    Route("DELETE", "/api/tasks/{task_id:int}", _delete),
    Route("GET", "/api/tasks/{task_id:int}/status", _status),
)
