"""Personal access tokens: shown once, read-only unless asked otherwise."""

from __future__ import annotations

import secrets
from typing import Any

from cvat_bridge.sandbox.accounts import users
from cvat_bridge.sandbox.accounts.auth import digest
from cvat_bridge.sandbox.store.state import Row, State, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_CHECKS: dict[str, fields.Check] = {
    "name": fields.text(50, blank=False),
    "expiry_date": fields.nullable(fields.moment),
    "read_only": fields.boolean,
}
_INDEX = Index(
    equal=("name",),
    logic=("id", "name", "created_date", "expiry_date", "read_only"),
    search=("name",),
)


def issue(
    state: State, user_id: int, name: str, *, read_only: bool, expires: str | None
) -> tuple[int, str]:
    """Make a token and give its id and its value, which is not kept."""
    secret = secrets.token_hex(20)
    time = now()
    with state.db.transaction():
        token_id = state.db.insert(
            "access_token",
            user_id=user_id,
            name=name,
            digest=digest(secret),
            created_date=time,
            updated_date=time,
            expiry_date=expires,
            read_only=read_only,
        )
    return token_id, secret


def _view(call: Call, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "name": row["name"],
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "expiry_date": row["expiry_date"],
        "last_used_date": row["last_used_date"],
        "read_only": bool(row["read_only"]),
        "owner": users.basic(call, row["user_id"]),
    }


def _own(call: Call, token_id: int) -> Row:
    row = call.db.get("access_token", token_id)
    if row is None:
        raise not_found("AccessToken")
    if row["user_id"] != call.user["id"]:
        raise forbidden()
    return row


def _by_password_only(call: Call) -> None:
    if call.token is not None:
        raise forbidden()


def _list(call: Call) -> Answer:
    time = now()
    rows = [
        row
        for row in call.db.all("SELECT * FROM access_token WHERE user_id = ?", call.user["id"])
        if (row["expiry_date"] or "9999") >= time
    ]
    return listed(call, rows, _INDEX, lambda row: _view(call, row))


def _create(call: Call) -> Answer:
    _by_password_only(call)
    taken = fields.take(call.fields(), _CHECKS, required=("name",))
    token_id, secret = issue(
        call.state,
        call.user["id"],
        taken["name"],
        read_only=taken.get("read_only", True),
        expires=taken.get("expiry_date"),
    )
    return Answer(201, {**_view(call, _own(call, token_id)), "value": secret})


def _self(call: Call) -> Answer:
    if call.token is None:
        raise ApiError(401, {"detail": "The request is not authenticated with an access token."})
    return Answer(200, _view(call, call.db.get("access_token", call.token["id"]) or call.token))


def _patch(call: Call, token_id: int) -> Answer:
    _by_password_only(call)
    _own(call, token_id)
    taken = fields.take(call.fields(), _CHECKS)
    call.db.update("access_token", token_id, updated_date=now(), **taken)
    return Answer(200, _view(call, _own(call, token_id)))


def _delete(call: Call, token_id: int) -> Answer:
    _by_password_only(call)
    _own(call, token_id)
    call.db.run("DELETE FROM access_token WHERE id = ?", token_id)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/auth/access_tokens", _list),
    Route("POST", "/api/auth/access_tokens", _create),
    Route("GET", "/api/auth/access_tokens/self", _self),
    Route(
        "GET",
        "/api/auth/access_tokens/{token_id:int}",
        lambda call, token_id: Answer(200, _view(call, _own(call, token_id))),
    ),
    Route("PATCH", "/api/auth/access_tokens/{token_id:int}", _patch),
    Route("DELETE", "/api/auth/access_tokens/{token_id:int}", _delete),
)
