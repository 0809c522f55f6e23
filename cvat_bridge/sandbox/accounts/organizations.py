"""Organizations: listed, made, changed and deleted."""

from __future__ import annotations

import json
from typing import Any

from cvat_bridge.sandbox.accounts import users, workspaces
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import forbidden, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

ROLES = ("worker", "supervisor", "maintainer", "owner")
_INDEX = Index(
    equal=("name", "slug"), logic=("name", "slug", "id", "owner"), search=("name", "owner", "slug")
)


def _view(call: Call, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "slug": row["slug"],
        "name": row["name"],
        "description": row["description"],
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "contact": json.loads(row["contact"]),
        "owner": users.basic(call, row["owner_id"]),
    }


def _list(call: Call) -> Answer:
    rows = call.db.all("SELECT * FROM organization")
    if not call.is_admin:
        rows = [row for row in rows if workspaces.role(call, row["id"])]
    return listed(call, rows, _INDEX, lambda row: _view(call, row))


def _found(call: Call, organization_id: int) -> Row:
    row = call.db.get("organization", organization_id)
    if row is None:
        raise not_found("Organization")
    if not call.is_admin and workspaces.role(call, organization_id) is None:
        raise forbidden()
    return row


_CHECKS: dict[str, fields.Check] = {
    "slug": fields.text(16, blank=False),
    "name": fields.text(64),
    "description": fields.text(),
    "contact": lambda value: value,
}


def join(call: Call, organization_id: int, user_id: int, as_role: str) -> int:
    """Make an account a member and give the membership's id."""
    return call.db.insert(
        "membership",
        user_id=user_id,
        organization_id=organization_id,
        role=as_role,
        joined_date=now(),
        is_active=True,
    )


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _CHECKS, required=("slug",))
    slug = taken["slug"]
    if not all(c.isalnum() or c in "-_" for c in slug):
        text = "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."
        raise invalid({"slug": [text]})
    if call.db.one("SELECT id FROM organization WHERE slug = ?", slug):
        raise invalid({"slug": ["organization with this slug already exists."]})
    time = now()
    new = call.db.insert(
        "organization",
        slug=slug,
        name=taken.get("name") or slug,
        description=taken.get("description", ""),
        contact=json.dumps(taken.get("contact", {})),
        owner_id=call.user["id"],
        created_date=time,
        updated_date=time,
    )
    join(call, new, call.user["id"], "owner")
    return Answer(201, _view(call, _found(call, new)))


def check_manages(call: Call, organization_id: int) -> None:
    """Check that the caller is an owner or maintainer of the organization."""
    if not call.is_admin and workspaces.role(call, organization_id) not in {"owner", "maintainer"}:
        raise forbidden()


def _patch(call: Call, organization_id: int) -> Answer:
    _found(call, organization_id)
    check_manages(call, organization_id)
    taken = fields.take(call.fields(), _CHECKS)
    if "contact" in taken:
        taken["contact"] = json.dumps(taken["contact"])
    call.db.update("organization", organization_id, updated_date=now(), **taken)
    return Answer(200, _view(call, _found(call, organization_id)))


def _delete(call: Call, organization_id: int) -> Answer:
    row = _found(call, organization_id)
    if not call.is_admin and row["owner_id"] != call.user["id"]:
        raise forbidden()
    for table in ("membership", "webhook", "task", "project"):
        sql = f"DELETE FROM {table} WHERE organization_id = ?"  # noqa: S608  tables are ours
        call.db.run(sql, organization_id)
    call.db.run("DELETE FROM organization WHERE id = ?", organization_id)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/organizations", _list),
    Route("POST", "/api/organizations", _create),
    Route(
        "GET",
        "/api/organizations/{organization_id:int}",
        lambda call, organization_id: Answer(200, _view(call, _found(call, organization_id))),
    ),
    Route("PATCH", "/api/organizations/{organization_id:int}", _patch),
    Route("DELETE", "/api/organizations/{organization_id:int}", _delete),
)
