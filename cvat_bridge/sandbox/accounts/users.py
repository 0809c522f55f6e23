"""Accounts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cvat_bridge.sandbox.accounts import workspaces
from cvat_bridge.sandbox.accounts.auth import groups, hashed
from cvat_bridge.sandbox.store.state import Row, State, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import forbidden, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_INDEX = Index(
    equal=("username", "first_name", "last_name", "email", "is_active"),
    logic=("id", "is_active", "username", "first_name", "last_name", "email"),
    search=("username", "first_name", "last_name"),
)


@dataclass(frozen=True)
class SandboxUser:
    """An account the sandbox is to have when it starts."""

    username: str
    password: str
    is_admin: bool = False
    email: str = ""
    first_name: str = ""
    last_name: str = ""


def ensure(state: State, users: Sequence[SandboxUser]) -> None:
    """Make these accounts where they do not exist; an existing one gets the given password."""
    with state.db.transaction():
        for user in users:
            found = state.db.one("SELECT id FROM user WHERE username = ?", user.username)
            if found:
                state.db.update("user", found["id"], password=hashed(user.password))
                continue
            state.db.insert(
                "user",
                username=user.username,
                password=hashed(user.password),
                email=user.email or f"{user.username}@example.com",
                first_name=user.first_name,
                last_name=user.last_name,
                groups=json.dumps(["admin", "user"] if user.is_admin else ["user"]),
                is_staff=user.is_admin,
                is_superuser=user.is_admin,
                date_joined=now(),
            )


def basic(call: Call, user_id: int | None) -> dict[str, Any] | None:
    """Return an account as other objects mention it."""
    user = call.db.get("user", user_id)
    if user is None:
        return None
    return {
        "url": call.url(f"/api/users/{user['id']}"),
        "id": user["id"],
        "username": user["username"],
        "first_name": user["first_name"],
        "last_name": user["last_name"],
    }


def full(call: Call, user: Row) -> dict[str, Any]:
    """Return an account as it sees itself and admins see it."""
    return {
        **(basic(call, user["id"]) or {}),
        "email": user["email"],
        "groups": groups(user),
        "is_staff": bool(user["is_staff"]),
        "is_superuser": bool(user["is_superuser"]),
        "is_active": bool(user["is_active"]),
        "last_login": user["last_login"],
        "date_joined": user["date_joined"],
        "has_analytics_access": bool(user["is_superuser"]),
    }


def _seen(call: Call, user: Row) -> dict[str, Any]:
    return full(call, user) if call.is_admin else (basic(call, user["id"]) or {})


def _list(call: Call) -> Answer:
    rows = call.db.all("SELECT * FROM user")
    workspace = workspaces.context(call)
    if workspace.organization is not None:
        members = {
            row["user_id"]
            for row in call.db.all(
                "SELECT user_id FROM membership WHERE organization_id = ?",
                workspace.organization["id"],
            )
        }
        rows = [row for row in rows if row["id"] in members]
    elif not call.is_admin:
        rows = [row for row in rows if row["id"] == call.user["id"]]
    rows = [{**row, "is_active": bool(row["is_active"])} for row in rows]
    return listed(call, rows, _INDEX, lambda row: _seen(call, row))


def _found(call: Call, user_id: int) -> Row:
    user = call.db.get("user", user_id)
    if user is None:
        raise not_found("User")
    if not call.is_admin and user_id != call.user["id"]:
        raise forbidden()
    return user


def _patch(call: Call, user_id: int) -> Answer:
    _found(call, user_id)
    if call.token is not None:
        raise forbidden()
    if not call.is_admin and {"groups", "is_staff", "is_superuser", "is_active"} & set(
        call.fields()
    ):
        raise forbidden()
    checks = {name: fields.text(150) for name in ("username", "first_name", "last_name", "email")}
    taken = fields.take(call.fields(), checks)
    if taken:
        call.db.update("user", user_id, **taken)
    return Answer(200, full(call, _found(call, user_id)))


def _delete(call: Call, user_id: int) -> Answer:
    _found(call, user_id)
    call.db.run("DELETE FROM user WHERE id = ?", user_id)
    call.db.run("DELETE FROM session WHERE user_id = ?", user_id)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/users", _list),
    Route("GET", "/api/users/self", lambda call: Answer(200, full(call, call.user))),
    Route(
        "GET",
        "/api/users/{user_id:int}",
        lambda call, user_id: Answer(200, full(call, _found(call, user_id))),
    ),
    Route("PATCH", "/api/users/{user_id:int}", _patch),
    Route("DELETE", "/api/users/{user_id:int}", _delete),
)
