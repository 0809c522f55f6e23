"""Where files lie that nobody uploads: the share, and cloud storages played by local folders.

The bucket of a cloud storage is the folder `buckets/<resource>` in the sandbox's data folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.accounts import users, workspaces
from cvat_bridge.sandbox.frames import media
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_PROVIDERS = ("AWS_S3_BUCKET", "AZURE_CONTAINER", "GOOGLE_CLOUD_STORAGE")
_CREDENTIALS = (
    "KEY_SECRET_KEY_PAIR",
    "ACCOUNT_NAME_TOKEN_PAIR",
    "KEY_FILE_PATH",
    "ANONYMOUS_ACCESS",
    "CONNECTION_STRING",
)
_CHECKS: dict[str, fields.Check] = {
    "provider_type": fields.choice(*_PROVIDERS),
    "resource": fields.text(222, blank=False),
    "display_name": fields.text(63, blank=False),
    "credentials_type": fields.choice(*_CREDENTIALS),
    "specific_attributes": fields.text(1024),
    "description": fields.text(),
    "manifests": fields.many(fields.text()),
}
_INDEX = Index(
    equal=("provider_type", "resource", "credentials_type", "name", "owner"),
    logic=("id", "provider_type", "resource", "credentials_type", "name", "owner", "description"),
    search=("provider_type", "name", "resource", "credentials_type", "owner", "description"),
)


def _folder(call: Call, resource: str) -> Path:
    if "/" in resource or resource.startswith("."):
        raise invalid({"resource": ["The bucket's name must be a plain name"]})
    return call.state.path("buckets", resource)


def _entry(path: Path) -> dict[str, str]:
    if path.is_dir():
        return {"name": path.name, "type": "DIR", "mime_type": "DIR"}
    suffix = path.suffix.lower()
    kind = "image" if suffix in media.IMAGES else "video" if suffix in media.VIDEOS else "unknown"
    return {"name": path.name, "type": "REG", "mime_type": kind}


def _inside(root: Path, directory: str) -> Path:
    path = (root / directory.strip("/")).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_dir():
        raise ApiError(400, f"{directory} is an invalid directory")
    return path


def _browse_share(call: Call) -> Answer:
    root = call.state.share
    if root is None:
        return Answer(200, [])
    folder = _inside(root, call.query.get("directory", ""))
    word = call.query.get("search", "")
    found = [path for path in folder.iterdir() if word in path.name]
    found.sort(key=lambda path: (path.is_file(), path.name))
    return Answer(200, [_entry(path) for path in found])


def _view(call: Call, row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "owner": users.basic(call, row["owner_id"]),
        **json.loads(row["body"]),
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "organization": row["organization_id"],
    }


def _list(call: Call) -> Answer:
    workspace = workspaces.context(call)
    rows = [
        {**row, **json.loads(row["body"])}
        for row in call.db.all("SELECT * FROM cloudstorage")
        if workspace.holds(row["organization_id"])
        and (call.is_admin or row["owner_id"] == call.user["id"])
    ]
    return listed(call, rows, _INDEX, lambda row: _view(call, row))


def _create(call: Call) -> Answer:
    required = ("provider_type", "resource", "display_name", "credentials_type")
    taken = fields.take(call.fields(), _CHECKS, required=required)
    workspace = workspaces.context(call)
    folder = _folder(call, taken["resource"])
    body = {name: taken.get(name, [] if name == "manifests" else "") for name in _CHECKS}
    time = now()
    new = call.db.insert(
        "cloudstorage",
        owner_id=call.user["id"],
        organization_id=workspace.id,
        body=json.dumps(body),
        folder=str(folder),
        created_date=time,
        updated_date=time,
    )
    return Answer(201, _view(call, _found(call, new)))


def _found(call: Call, storage_id: int) -> Row:
    row = call.db.get("cloudstorage", storage_id)
    if row is None:
        raise not_found("CloudStorage")
    if not call.is_admin and row["owner_id"] != call.user["id"]:
        raise forbidden()
    return row


def _delete(call: Call, storage_id: int) -> Answer:
    _found(call, storage_id)
    call.db.run("DELETE FROM cloudstorage WHERE id = ?", storage_id)
    return Answer(204)


def _content(call: Call, storage_id: int) -> Answer:
    root = Path(_found(call, storage_id)["folder"])
    folder = _inside(root, call.query.get("prefix", ""))
    found = sorted(folder.iterdir(), key=lambda path: (path.is_file(), path.name))
    return Answer(200, {"content": [_entry(path) for path in found], "next": None})


_ONE = "/api/cloudstorages/{storage_id:int}"
ROUTES = (
    Route("GET", "/api/server/share", _browse_share),
    Route("GET", "/api/cloudstorages", _list),
    Route("POST", "/api/cloudstorages", _create),
    Route("GET", _ONE, lambda call, storage_id: Answer(200, _view(call, _found(call, storage_id)))),
    Route("DELETE", _ONE, _delete),
    Route("GET", f"{_ONE}/content-v2", _content),
    Route(
        "GET",
        f"{_ONE}/status",
        lambda call, storage_id: Answer(200, "AVAILABLE" if _found(call, storage_id) else None),
    ),
)
