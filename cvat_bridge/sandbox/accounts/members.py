"""Members of organizations: listed, invited, promoted and removed."""

from __future__ import annotations

import secrets
from typing import Any

from cvat_bridge.sandbox.accounts import organizations, users, workspaces
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_INDEX = Index(equal=("role", "user"), logic=("user", "role", "id"), search=("user", "role"))


def _member(call: Call, row: Row) -> dict[str, Any]:
    key = call.db.scalar("SELECT key FROM invitation WHERE membership_id = ?", row["id"])
    return {
        "id": row["id"],
        "user": users.basic(call, row["user_id"]),
        "organization": row["organization_id"],
        "is_active": bool(row["is_active"]),
        "joined_date": row["joined_date"],
        "role": row["role"],
        "invitation": key,
    }


def _members(call: Call) -> Answer:
    workspace = workspaces.context(call)
    names = {row["id"]: row["username"] for row in call.db.all("SELECT * FROM user")}
    rows = [
        {**row, "user": names.get(row["user_id"])}
        for row in call.db.all("SELECT * FROM membership")
        if workspace.holds(row["organization_id"])
        and (call.is_admin or workspaces.role(call, row["organization_id"]))
    ]
    if workspace.personal:
        rows = []
    return listed(call, rows, _INDEX, lambda row: _member(call, row))


def _membership(call: Call, membership_id: int) -> Row:
    row = call.db.get("membership", membership_id)
    if row is None:
        raise not_found("Membership")
    return row


def _change_role(call: Call, membership_id: int) -> Answer:
    row = _membership(call, membership_id)
    organizations.check_manages(call, row["organization_id"])
    taken = fields.take(
        call.fields(), {"role": fields.choice(*organizations.ROLES)}, required=("role",)
    )
    call.db.update("membership", membership_id, role=taken["role"])
    return Answer(200, _member(call, _membership(call, membership_id)))


def _leave(call: Call, membership_id: int) -> Answer:
    row = _membership(call, membership_id)
    if row["user_id"] != call.user["id"]:
        organizations.check_manages(call, row["organization_id"])
    call.db.run("DELETE FROM membership WHERE id = ?", membership_id)
    return Answer(204)


def _invite(call: Call) -> Answer:
    workspace = workspaces.context(call)
    checks = {"email": fields.text(blank=False), "role": fields.choice(*organizations.ROLES[:3])}
    taken = fields.take(call.fields(), checks, required=("role", "email"))
    if workspace.organization is None:
        raise forbidden()
    organizations.check_manages(call, workspace.organization["id"])
    if "@" not in taken["email"]:
        raise invalid({"email": ["Enter a valid email address."]})
    user = call.db.one("SELECT * FROM user WHERE email = ?", taken["email"])
    if user is None:
        raise ApiError(500, "No account has this e-mail, and no mail can be sent")
    members = "SELECT id FROM membership WHERE organization_id = ? AND user_id = ?"
    if call.db.one(members, workspace.organization["id"], user["id"]):
        raise invalid("The user is a member of the organization already.")
    member = organizations.join(call, workspace.organization["id"], user["id"], taken["role"])
    key, time = secrets.token_hex(32), now()
    call.db.insert(
        "invitation", key=key, membership_id=member, owner_id=call.user["id"], created_date=time
    )
    return Answer(
        201,
        {
            "key": key,
            "created_date": time,
            "owner": users.basic(call, call.user["id"]),
            "role": taken["role"],
            "user": users.basic(call, user["id"]),
            "organization": workspace.organization["id"],
            "expired": None,
            "accepted": True,
            "organization_info": {
                "id": workspace.organization["id"],
                "slug": workspace.organization["slug"],
            },
        },
    )


ROUTES = (
    Route("GET", "/api/memberships", _members),
    Route("PATCH", "/api/memberships/{membership_id:int}", _change_role),
    Route("DELETE", "/api/memberships/{membership_id:int}", _leave),
    Route("POST", "/api/invitations", _invite),
)
