"""What webhooks are told: who listens, and the body they get.

Nothing listens to most changes, so a body is only made where a webhook wants the event. Bodies
carry the object as it is when the change is made, and leave after the commit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from cvat_bridge.sandbox.accounts import users
from cvat_bridge.sandbox.notifications import deliveries
from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Call

_RESOURCES = {
    "project": "Project",
    "task": "Task",
    "job": "Job",
    "issue": "Issue",
    "comment": "Comment",
}
_REQUESTS = {
    "export:annotations": "Dataset export",
    "export:dataset": "Dataset export",
    "export:backup": "Backup export",
    "create:task": "Task data creation",
    "merge:task": "Consensus merge",
    "merge:job": "Consensus merge",
    "calculate:quality": "Quality report creation",
}
_CHANGES = ("create", "update", "delete")
_COMPLETED = {f"completed:request[{kind}]": group for kind, group in _REQUESTS.items()}
ALL: dict[str, str] = {
    **{f"{act}:{name}": group for name, group in _RESOURCES.items() for act in _CHANGES},
    "update:organization": "Organization",
    "create:invitation": "Invitation",
    "delete:invitation": "Invitation",
    **{f"{act}:membership": "Membership" for act in _CHANGES},
    **_COMPLETED,
}
OF_PROJECT: dict[str, str] = {
    key: group
    for key, group in ALL.items()
    if group not in {"Project", "Organization", "Invitation", "Membership"}
} | {"update:project": "Project", "delete:project": "Project"}


View = Callable[[Call, Row], dict[str, Any]]
_VIEWS: dict[str, View] = {}


def show(**views: View) -> None:
    """Say how a row of each table is shown in the body of a webhook: as its REST endpoint does."""
    _VIEWS.update(views)


def _place(call: Call, table: str, row: Row) -> tuple[int | None, int | None]:
    """Return the project and the organization that a row belongs to."""
    if table == "comment":
        return _place(call, "issue", call.db.get("issue", row["issue_id"]) or {})
    if table == "issue":
        return _place(call, "job", call.db.get("job", row["job_id"]) or {})
    if table == "job":
        row = call.db.get("task", row["task_id"]) or {}
    project_id = row.get("id") if table == "project" else row.get("project_id")
    return project_id, row.get("organization_id")


def _listeners(
    call: Call, event: str, project_id: int | None, organization_id: int | None
) -> Sequence[Row]:
    rows = call.db.all(
        "SELECT * FROM webhook WHERE is_active AND ((type = 'project' AND project_id = ?) "
        "OR (type = 'organization' AND organization_id = ?)) ORDER BY id",
        project_id,
        organization_id,
    )
    return [row for row in rows if event in json.loads(row["events"])]


def sender(call: Call) -> dict[str, Any] | None:
    """Return the account behind an event; in background work CVAT gives another form of it."""
    if call.background:
        user = call.user
        return {"id": user["id"], "username": user["username"], "email": user["email"]}
    return users.basic(call, call.user["id"])


def _tell(call: Call, event: str, table: str, row_id: int, **more: Any) -> None:
    row = call.db.get(table, row_id)
    if row is None:
        return
    listeners = _listeners(call, event, *_place(call, table, row))
    if not listeners:
        return
    body = {table: _VIEWS[table](call, row), "sender": sender(call)}
    for webhook in listeners:
        payload = {"event": event, "webhook_id": webhook["id"], **body, **more}
        deliveries.after_commit(call, webhook, payload)


def updated(call: Call, table: str, row_id: int, changes: dict[str, Any]) -> None:
    """Tell that a row changed; changes is {column: {from, to}}."""
    before = {name: change["from"] for name, change in changes.items()}
    _tell(call, f"update:{table}", table, row_id, before_update=before, changes=changes)


def created(call: Call, table: str, row_id: int) -> None:
    """Tell that a row came."""
    _tell(call, f"create:{table}", table, row_id)


def deleted(call: Call, table: str, row_id: int) -> None:
    """Tell that a row is about to go."""
    _tell(call, f"delete:{table}", table, row_id)


def completed(call: Call, request_id: str) -> None:
    """Tell that background work ended well."""
    row = call.db.get("request", request_id)
    if row is None:
        return
    view = _VIEWS["request"](call, row)
    event = f"completed:request[{view['operation']['type']}]"
    operation = view["operation"]
    for webhook in _listeners(call, event, operation["project_id"], operation["org_id"]):
        payload = {"event": event, "request": view, "webhook_id": webhook["id"]}
        deliveries.after_commit(call, webhook, payload)
