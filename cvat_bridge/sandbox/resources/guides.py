"""Annotation guides of projects and tasks."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, invalid, not_found

_CHECKS: dict[str, fields.Check] = {
    "project_id": fields.nullable(fields.integer()),
    "task_id": fields.nullable(fields.integer()),
    "markdown": fields.text(),
}


def _view(row: Row, *, dates: bool = False) -> dict[str, Any]:
    names = ("id", "task_id", "project_id", *(("created_date", "updated_date") if dates else ()))
    return {**{name: row[name] for name in names}, "markdown": row["markdown"]}


def _owner(call: Call, project_id: int | None, task_id: int | None) -> None:
    """Check that the caller runs what the guide is for."""
    if project_id is not None:
        permissions.project(call, project_id)
    elif task_id is not None:
        permissions.task(call, task_id)


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _CHECKS)
    project_id, task_id = taken.get("project_id"), taken.get("task_id")
    if project_id is not None and task_id is not None:
        raise invalid("Both project_id and task_id must not be specified")
    if project_id is None and task_id is None:
        raise invalid("One of project_id or task_id must be specified")
    _owner(call, project_id, task_id)
    found = call.db.one(
        "SELECT id FROM guide WHERE project_id = ? OR task_id = ?", project_id, task_id
    )
    if found:
        raise ApiError(500, "there is a guide already: CVAT fails here too")
    time = now()
    new = call.db.insert(
        "guide",
        project_id=project_id,
        task_id=task_id,
        markdown=taken.get("markdown", ""),
        created_date=time,
        updated_date=time,
    )
    return Answer(201, _view(_row(call, new)))


def _row(call: Call, guide_id: int) -> Row:
    row = call.db.get("guide", guide_id)
    if row is None:
        raise not_found("AnnotationGuide")
    return row


def _readable(call: Call, guide_id: int) -> Row:
    """Return a guide to who runs its object and to who works on a job of it."""
    row = _row(call, guide_id)
    mine = call.db.one(
        "SELECT job.id FROM job JOIN task ON task.id = job.task_id WHERE job.assignee_id = ? "
        "AND (task.id = ? OR task.project_id = ?)",
        call.user["id"],
        row["task_id"],
        row["project_id"],
    )
    if mine is None:
        _owner(call, row["project_id"], row["task_id"])
    return row


def _patch(call: Call, guide_id: int) -> Answer:
    row = _row(call, guide_id)
    _owner(call, row["project_id"], row["task_id"])
    taken = fields.take(call.fields(), _CHECKS)
    if "project_id" in taken or "task_id" in taken:
        raise ApiError(500, "a guide cannot be moved: CVAT fails here too")
    if "markdown" in taken:
        call.db.update("guide", guide_id, markdown=taken["markdown"], updated_date=now())
    return Answer(200, _view(_row(call, guide_id)))


def _delete(call: Call, guide_id: int) -> Answer:
    row = _row(call, guide_id)
    _owner(call, row["project_id"], row["task_id"])
    call.db.run("DELETE FROM guide WHERE id = ?", guide_id)
    return Answer(204)


_ONE = "/api/guides/{guide_id:int}"
ROUTES = (
    Route("POST", "/api/guides", _create),
    Route(
        "GET",
        _ONE,
        lambda call, guide_id: Answer(200, _view(_readable(call, guide_id), dates=True)),
    ),
    Route("PATCH", _ONE, _patch),
    Route("DELETE", _ONE, _delete),
)
