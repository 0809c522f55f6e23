"""Who may see and change what: owners, assignees, organization staff and admins."""

from __future__ import annotations

from cvat_bridge.sandbox.accounts import workspaces
from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Call
from cvat_bridge.sandbox.web.errors import forbidden, not_found


def _rules(call: Call, organization_id: int | None) -> bool:
    """Return whether the caller stands above owners and assignees."""
    if call.is_admin:
        return True
    staff = {"owner", "maintainer"}
    return organization_id is not None and workspaces.role(call, organization_id) in staff


def _is_one_of(call: Call, row: Row | None) -> bool:
    return row is not None and call.user["id"] in {row["owner_id"], row["assignee_id"]}


def staff_of_project(call: Call, project: Row) -> bool:
    """Return whether the caller runs the project."""
    return _rules(call, project["organization_id"]) or _is_one_of(call, project)


def staff_of_task(call: Call, task: Row) -> bool:
    """Return whether the caller runs the task."""
    if _rules(call, task["organization_id"]) or _is_one_of(call, task):
        return True
    return _is_one_of(call, call.db.get("project", task["project_id"]))


def sees_job(call: Call, job: Row, task: Row) -> bool:
    """Return whether the caller may open the job; who may open it may annotate it."""
    return job["assignee_id"] == call.user["id"] or staff_of_task(call, task)


def give_job(call: Call, task: Row, assignee: int | None) -> None:
    """Refuse what a real server refuses: outside an organization, work for somebody else."""
    own = assignee in {None, call.user["id"]}
    if not own and not call.is_admin and task["organization_id"] is None:
        raise forbidden()


def project(call: Call, project_id: int, *, owner: bool = False) -> Row:
    """Return a project the caller may see (owner: may delete); ApiError 404 or 403."""
    row = call.db.get("project", project_id)
    if row is None:
        raise not_found("Project")
    allowed = staff_of_project(call, row)
    if owner:
        own = row["owner_id"] == call.user["id"]
        allowed = own or _rules(call, row["organization_id"])
    if not allowed:
        raise forbidden()
    return row


def task(call: Call, task_id: int) -> Row:
    """Return a task the caller runs; ApiError 404 or 403."""
    row = call.db.get("task", task_id)
    if row is None:
        raise not_found("Task")
    if not staff_of_task(call, row):
        raise forbidden()
    return row


def job(call: Call, job_id: int, *, staff: bool = False) -> tuple[Row, Row]:
    """Return a job the caller may open (staff: whose task they run) and its task."""
    row = call.db.get("job", job_id)
    if row is None:
        raise not_found("Job")
    parent = call.db.get("task", row["task_id"])
    if parent is None:
        raise not_found("Job")
    if not (staff_of_task(call, parent) if staff else sees_job(call, row, parent)):
        raise forbidden()
    return row, parent
