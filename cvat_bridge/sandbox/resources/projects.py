"""Projects."""

from __future__ import annotations

import json
from typing import Any

from cvat_bridge.sandbox.accounts import permissions, users, workspaces
from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.resources import labels, records, removal
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError
from cvat_bridge.sandbox.web.listing import Index, listed

STATUSES = ("annotation", "validation", "completed")
_INDEX = Index(
    equal=("name", "owner", "assignee", "status"),
    logic=("name", "owner", "assignee", "status", "id", "updated_date"),
    search=("name", "owner", "assignee"),
    choices={"status": STATUSES},
)
_CHECKS: dict[str, fields.Check] = {
    "name": fields.text(256, blank=False),
    "labels": labels.check,
    "bug_tracker": fields.text(2000),
    "owner_id": fields.nullable(fields.integer()),
    "assignee_id": fields.nullable(fields.integer()),
    "source_storage": fields.nullable(lambda value: value),
    "target_storage": fields.nullable(lambda value: value),
}


def storage(text: str | None) -> Any:
    """Return a stored storage setting, or None."""
    return json.loads(text) if text else None


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return a project as the API has it."""
    tasks = call.db.all(
        "SELECT subset, dimension FROM task WHERE project_id = ? ORDER BY id", row["id"]
    )
    return {
        "url": call.url(f"/api/projects/{row['id']}"),
        "id": row["id"],
        "name": row["name"],
        "owner": users.basic(call, row["owner_id"]),
        "assignee": users.basic(call, row["assignee_id"]),
        "guide_id": call.db.scalar("SELECT id FROM guide WHERE project_id = ?", row["id"]),
        "bug_tracker": row["bug_tracker"],
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "status": row["status"],
        "dimension": next((task["dimension"] for task in tasks if task["dimension"]), None),
        "organization": row["organization_id"],
        "organization_id": row["organization_id"],
        "target_storage": storage(row["target_storage"]),
        "source_storage": storage(row["source_storage"]),
        "tasks": {"count": len(tasks), "url": call.url(f"/api/tasks?project_id={row['id']}")},
        "labels": {"url": call.url(f"/api/labels?project_id={row['id']}")},
        "assignee_updated_date": row["assignee_updated_date"],
        "task_subsets": sorted({task["subset"] for task in tasks if task["subset"]}),
    }


def names(call: Call) -> dict[int | None, str]:
    """Return user names by id, for filters."""
    return {row["id"]: row["username"] for row in call.db.all("SELECT id, username FROM user")}


def _list(call: Call) -> Answer:
    workspace, known = workspaces.context(call), names(call)
    rows = [
        {**row, "owner": known.get(row["owner_id"]), "assignee": known.get(row["assignee_id"])}
        for row in call.db.all("SELECT * FROM project")
        if workspace.holds(row["organization_id"]) and permissions.staff_of_project(call, row)
    ]
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def account(call: Call, user_id: int | None) -> int | None:
    """Check that an assignee exists; CVAT itself fails with 500 where not."""
    if user_id is not None and call.db.get("user", user_id) is None:
        raise ApiError(500, f"There is no user {user_id}")
    return user_id


def storages(taken: dict[str, Any]) -> dict[str, str]:
    """Return the storage fields as text to keep."""
    both = ("source_storage", "target_storage")
    return {name: json.dumps(taken[name]) for name in both if taken.get(name)}


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _CHECKS, required=("name",))
    workspace = workspaces.context(call)
    workspaces.may_create(call, workspace)
    time = now()
    project_id = call.db.insert(
        "project",
        name=taken["name"],
        owner_id=call.user["id"],
        assignee_id=account(call, taken.get("assignee_id")),
        assignee_updated_date=time if taken.get("assignee_id") else None,
        bug_tracker=taken.get("bug_tracker", ""),
        status="annotation",
        created_date=time,
        updated_date=time,
        organization_id=workspace.id,
        **storages(taken),
    )
    labels.save(call, taken.get("labels", ()), project_id=project_id)
    events.created(call, "project", project_id)
    return Answer(201, view(call, permissions.project(call, project_id)))


def _patch(call: Call, project_id: int) -> Answer:
    project = permissions.project(call, project_id)
    taken = fields.take(call.fields(), _CHECKS)
    labels.save(call, taken.get("labels", ()), project_id=project_id)
    plain = ("name", "bug_tracker", "owner_id")
    columns: dict[str, Any] = {name: taken[name] for name in plain if name in taken}
    if "assignee_id" in taken and taken["assignee_id"] != project["assignee_id"]:
        columns["assignee_id"] = account(call, taken["assignee_id"])
        columns["assignee_updated_date"] = now()
    records.change(call, "project", project_id, updated_date=now(), **columns, **storages(taken))
    return Answer(200, view(call, permissions.project(call, project_id)))


def _delete(call: Call, project_id: int) -> Answer:
    permissions.project(call, project_id, owner=True)
    events.deleted(call, "project", project_id)
    for row in call.db.all("SELECT id FROM task WHERE project_id = ?", project_id):
        removal.remove_task(call, row["id"])
    for row in labels.of_project(call.db, project_id):
        labels.remove(call, row["id"])
    call.db.run("DELETE FROM webhook WHERE project_id = ?", project_id)
    call.db.run("DELETE FROM guide WHERE project_id = ?", project_id)
    call.db.run("DELETE FROM project WHERE id = ?", project_id)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/projects", _list),
    Route("POST", "/api/projects", _create),
    Route(
        "GET",
        "/api/projects/{project_id:int}",
        lambda call, project_id: Answer(200, view(call, permissions.project(call, project_id))),
    ),
    Route("PATCH", "/api/projects/{project_id:int}", _patch),
    Route("DELETE", "/api/projects/{project_id:int}", _delete),
)
