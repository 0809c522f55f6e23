"""Webhooks of projects and organizations."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

from cvat_bridge.sandbox.accounts import permissions, users, workspaces
from cvat_bridge.sandbox.notifications import deliveries, events
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_HOST = re.compile(
    r"(localhost|\d+\.\d+\.\d+\.\d+|\[[0-9a-f:.]+\]"
    r"|([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{1,62}\.?)\Z",
    re.IGNORECASE,
)
_SCHEMES = {"http", "https", "ftp", "ftps"}
_TYPES = ("organization", "project")
_INDEX = Index(
    equal=("target_url", "owner", "type", "project_id"),
    logic=("target_url", "owner", "type", "description", "id", "project_id", "updated_date"),
    search=("target_url", "owner", "type", "description"),
    choices={"type": _TYPES},
)


def _url(value: Any) -> str:
    given: str = fields.text(blank=False)(value)
    faults = []
    if len(given) > 8192:
        faults.append("Ensure this field has no more than 8192 characters.")
    try:
        parts = urlsplit(given)
        host = parts.hostname or ""
        good = parts.scheme in _SCHEMES and _HOST.match(host) and (parts.port or 1) > 0
    except ValueError:
        good = None
    if not good or len(given) > 2048:
        faults.append("Enter a valid URL.")
    if faults:
        raise fields.FieldError(faults)
    return given


def _events(value: Any) -> list[str]:
    if not isinstance(value, list):
        raise fields.FieldError(f'Expected a list of items but got type "{type(value).__name__}".')
    unknown = [key for key in value if key not in events.ALL]
    if unknown:
        raise fields.FieldError(f'"{unknown[0]}" is not a valid choice.')
    return sorted(set(value))


_CHECKS: dict[str, fields.Check] = {
    "target_url": _url,
    "description": fields.text(128),
    "type": fields.choice(*_TYPES),
    "content_type": fields.choice("application/json"),
    "secret": fields.text(64),
    "is_active": fields.boolean,
    "enable_ssl": fields.boolean,
    "project_id": fields.nullable(fields.integer()),
    "events": _events,
}


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return a webhook as the API has it, without its secret."""
    found = {
        "id": row["id"],
        "url": call.url(f"/api/webhooks/{row['id']}"),
        "target_url": row["target_url"],
        "description": row["description"],
        "type": row["type"],
        "content_type": row["content_type"],
        "is_active": bool(row["is_active"]),
        "enable_ssl": bool(row["enable_ssl"]),
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "owner": users.basic(call, row["owner_id"]),
        "project_id": row["project_id"],
        "organization": row["organization_id"],
        "events": json.loads(row["events"]),
    }
    last = call.db.one(
        "SELECT status_code, updated_date FROM delivery WHERE webhook_id = ? "
        "ORDER BY id DESC LIMIT 1",
        row["id"],
    )
    if last:
        found["last_status"] = last["status_code"]
        found["last_delivery_date"] = last["updated_date"]
    return found


def _may(call: Call, row: Row) -> bool:
    if call.is_admin or row["owner_id"] == call.user["id"]:
        return True
    if workspaces.role(call, row["organization_id"]) in {"owner", "maintainer"}:
        return True
    project = call.db.get("project", row["project_id"])
    return project is not None and project["owner_id"] == call.user["id"]


def _found(call: Call, webhook_id: int) -> Row:
    row = call.db.get("webhook", webhook_id)
    if row is None:
        raise not_found("Webhook")
    if not _may(call, row):
        raise forbidden()
    return row


def _list(call: Call) -> Answer:
    workspace = workspaces.context(call)
    names = {row["id"]: row["username"] for row in call.db.all("SELECT * FROM user")}
    rows = [
        {**row, "owner": names.get(row["owner_id"])}
        for row in call.db.all("SELECT * FROM webhook")
        if workspace.holds(row["organization_id"]) and _may(call, row)
    ]
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def _fitting(kind: str, given: list[str]) -> None:
    allowed = events.OF_PROJECT if kind == "project" else events.ALL
    if not given or any(key not in allowed for key in given):
        raise invalid({"non_field_errors": [f"Invalid events list for {kind} webhook"]})


def _create(call: Call) -> Answer:
    body = call.fields()
    taken = fields.take(body, _CHECKS, required=("target_url", "type", "events"))
    kind = taken["type"]
    _fitting(kind, taken["events"])
    workspace = workspaces.context(call)
    organization_id = workspace.id
    project_id = None
    if kind == "project":
        project_id = taken.get("project_id")
        if project_id is None:
            raise ApiError(500, "a project webhook without its project: CVAT fails here too")
        project = call.db.get("project", project_id)
        if project is None:
            raise invalid("Project matching query does not exist.")
        project = permissions.project(call, project["id"], owner=True)
        organization_id = project["organization_id"]
    elif workspace.organization is None:
        raise ApiError(500, "an organization webhook without one: CVAT fails here too")
    elif workspaces.role(call, workspace.id) not in {"owner", "maintainer"} and not call.is_admin:
        raise forbidden()
    time = now()
    new = call.db.insert(
        "webhook",
        target_url=taken["target_url"],
        description=taken.get("description", ""),
        type=kind,
        content_type=taken.get("content_type", "application/json"),
        is_active=taken.get("is_active", True),
        enable_ssl=taken.get("enable_ssl", True),
        secret=taken.get("secret", ""),
        events=json.dumps(taken["events"]),
        project_id=project_id,
        organization_id=organization_id,
        owner_id=call.user["id"],
        created_date=time,
        updated_date=time,
    )
    return Answer(201, view(call, _found(call, new)))


def _update(call: Call, webhook_id: int) -> Answer:
    row = _found(call, webhook_id)
    taken = fields.take(call.fields(), _CHECKS)
    for fixed in ("type", "project_id"):
        taken.pop(fixed, None)
    if "events" in taken:
        _fitting(row["type"], taken["events"])
        taken["events"] = json.dumps(taken["events"])
    call.db.update("webhook", webhook_id, updated_date=now(), **taken)
    return Answer(200, view(call, _found(call, webhook_id)))


def _delete(call: Call, webhook_id: int) -> Answer:
    _found(call, webhook_id)
    call.db.run("DELETE FROM delivery WHERE webhook_id = ?", webhook_id)
    call.db.run("DELETE FROM webhook WHERE id = ?", webhook_id)
    return Answer(204)


def _ping(call: Call, webhook_id: int) -> Answer:
    row = _found(call, webhook_id)
    payload = {"event": "ping", "webhook": view(call, row), "sender": events.sender(call)}
    return Answer(200, deliveries.view(deliveries.send(call.state, row, payload)))


def _deliveries(call: Call, webhook_id: int) -> Answer:
    _found(call, webhook_id)
    rows = call.db.all("SELECT * FROM delivery WHERE webhook_id = ?", webhook_id)
    return listed(call, rows, Index(), deliveries.view)


def _delivery_row(call: Call, webhook_id: int, delivery_id: int) -> Row:
    _found(call, webhook_id)
    row = call.db.get("delivery", delivery_id)
    if row is None or row["webhook_id"] != webhook_id:
        raise not_found("WebhookDelivery")
    return row


def _redeliver(call: Call, webhook_id: int, delivery_id: int) -> Answer:
    row = _delivery_row(call, webhook_id, delivery_id)
    deliveries.again(call, webhook_id, json.loads(row["request"]))
    return Answer(200, {})


def _event_list(call: Call) -> Answer:
    kind = call.query.get("type", "all")
    if kind not in {"all", *_TYPES}:
        raise ApiError(400, "Incorrect value of type parameter")
    known = events.OF_PROJECT if kind == "project" else events.ALL
    listed_events = [{"key": key, "group": {"display_name": name}} for key, name in known.items()]
    return Answer(200, {"webhook_type": kind, "events": listed_events})


_ONE = "/api/webhooks/{webhook_id:int}"
ROUTES = (
    Route("GET", "/api/webhooks", _list),
    Route("POST", "/api/webhooks", _create),
    Route("GET", "/api/webhooks/events", _event_list),
    Route("GET", _ONE, lambda call, webhook_id: Answer(200, view(call, _found(call, webhook_id)))),
    Route("PATCH", _ONE, _update),
    Route("PUT", _ONE, _update),
    Route("DELETE", _ONE, _delete),
    Route("POST", f"{_ONE}/ping", _ping, atomic=False),
    Route("GET", f"{_ONE}/deliveries", _deliveries),
    Route(
        "GET",
        f"{_ONE}/deliveries/{{delivery_id:int}}",
        lambda call, webhook_id, delivery_id: Answer(
            200, deliveries.view(_delivery_row(call, webhook_id, delivery_id))
        ),
    ),
    Route("POST", f"{_ONE}/deliveries/{{delivery_id:int}}/redelivery", _redeliver),
)
