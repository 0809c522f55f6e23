"""The events of the editor: taken, kept where analytics is on, and exported as CSV."""

from __future__ import annotations

import csv
import json
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from cvat_bridge.sandbox.accounts import workspaces
from cvat_bridge.sandbox.analytics.working_time import working_time
from cvat_bridge.sandbox.frames import requests
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid

_COLUMNS = (
    *("scope", "obj_name", "obj_id", "obj_val", "source", "timestamp", "count", "duration"),
    *("project_id", "task_id", "job_id", "user_id", "user_name", "user_email", "org_id"),
    *("org_slug", "payload", "access_token_id"),
)
_SCOPES = frozenset(
    {
        *("load:cvat", "load:job", "save:job", "load:workspace", "send:exception"),
        *("join:objects", "change:frame", "draw:object", "paste:object", "copy:object"),
        *("propagate:object", "drag:object", "resize:object", "delete:object", "merge:objects"),
        *("split:objects", "group:objects", "slice:object", "zoom:image", "fit:image"),
        *("rotate:image", "action:undo", "action:redo", "debug:info", "run:annotations_action"),
        *("click:element", "user:activity"),
    }
)
_NO_DATABASE = (
    "clickhouse_connect.driver.exceptions.OperationalError: Error HTTPConnectionPool("
    "host='clickhouse', port=8123): Max retries exceeded with url: /?"
)


def _time(value: object, name: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise invalid(f"Cannot parse {name!r} datetime parameter: {value}") from error
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def _send(call: Call) -> Answer:
    body = call.fields()
    given = body.get("events") or []
    if "timestamp" not in body:
        raise ApiError(400, {"timestamp": ["This field is required."]})
    shift = datetime.now(timezone.utc) - _time(body["timestamp"], "timestamp")
    events = [_taken(event, shift) for event in given]
    previous = body.get("previous_event")
    spent = working_time(events, _taken(previous, shift) if previous else None)
    if call.state.analytics:
        for event in events:
            if event["scope"] != "user:activity":
                _keep(call, event)
        for (job, task, project), (worked, at) in spent.items():
            if milliseconds := int(worked.total_seconds() * 1000):
                row = {"scope": "send:working_time", "source": "server", "timestamp": at}
                row |= {"job_id": job, "task_id": task, "project_id": project, "count": 1}
                told = json.dumps({"working_time": milliseconds})
                _keep(call, row | {"duration": milliseconds, "payload": told})
    return Answer(201, {"events": given, "timestamp": body["timestamp"]})


def _taken(event: dict[str, Any], shift: Any) -> dict[str, Any]:
    if event.get("scope") not in _SCOPES or event.get("source", "client") != "client":
        source = event.get("source", "client")
        text = f"Event scope **{event.get('scope')}** is not allowed from {source}"
        raise ApiError(400, {"scope": text})
    return {
        "source": "client",
        **event,
        "timestamp": _time(event["timestamp"], "timestamp") + shift,
    }


def _keep(call: Call, event: dict[str, Any]) -> None:
    workspace = workspaces.context(call)
    slug = workspace.organization["slug"] if workspace.organization else None
    who = {"user_id": call.user["id"], "user_name": call.user["username"]}
    row = event | who | {"user_email": call.user["email"] or None, "org_id": workspace.id}
    at: datetime = event["timestamp"]
    call.db.insert(
        "event",
        timestamp=at.timestamp(),
        project_id=row.get("project_id"),
        task_id=row.get("task_id"),
        job_id=row.get("job_id"),
        user_id=row["user_id"],
        org_id=row["org_id"],
        body=json.dumps(row | {"org_slug": slug, "timestamp": _written(at)}),
    )


def _written(at: datetime) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] + "+00:00"


def _filters(call: Call) -> dict[str, int]:
    """Return what the caller may see: others' events only as an admin or for an organization."""
    names = ("org_id", "project_id", "task_id", "job_id", "user_id")
    asked = {name: int(call.query[name]) for name in names if call.query.get(name)}
    workspace = workspaces.context(call)
    forced: dict[str, int] = {}
    if workspace.id is not None:
        forced["org_id"] = workspace.id
        if not call.is_admin and workspaces.role(call, workspace.id) not in {"owner", "maintainer"}:
            forced["user_id"] = call.user["id"]
    elif not call.is_admin:
        forced["user_id"] = call.user["id"]
    for name, value in forced.items():
        if asked.get(name, value) != value:
            text = f"You don't have permission to view events with {name}={asked[name]}"
            raise ApiError(403, {"detail": text})
    return asked | forced


def _export(call: Call) -> Answer:
    filters = _filters(call)
    since, until = (
        _time(call.query[name], name) if call.query.get(name) else None for name in ("from", "to")
    )
    if since and until and since > until:
        raise invalid("'from' must be before than 'to'")
    number = uuid.uuid4()
    request_id = f"action=export&target=events&id={number}&user_id={call.user['id']}"
    path = call.state.path("exports") / f"{number}.csv"

    def work() -> dict[str, Any]:
        if not call.state.analytics:
            raise requests.RequestError(_NO_DATABASE)
        where = ["timestamp >= ?", "timestamp <= ?", *(f"{name} = ?" for name in filters)]
        end = until.timestamp() if until else datetime.now(timezone.utc).timestamp() + 1
        rows = call.db.all(
            f"SELECT body FROM event WHERE {' AND '.join(where)} ORDER BY timestamp",  # noqa: S608 our own names
            since.timestamp() if since else 0.0,
            end,
            *filters.values(),
        )
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, _COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(json.loads(row["body"]) for row in rows)
        url = f"/api/events/download?rq_id={quote(request_id, safe='')}"
        return {"result_path": str(path), "result_url": url}

    requests.start(call, request_id, work, type="export:events", target="events")
    return Answer(202, {"rq_id": request_id})


def _download(call: Call) -> Answer:
    number = call.query.get("rq_id", "")
    if not number:
        raise invalid("Missing request id in the query parameters")
    row = call.db.get("request", number)
    if row is None:
        return Answer(400, content=b"Unknown export request id", media_type="text/html")
    if row["owner_id"] != call.user["id"]:
        raise forbidden()
    if row["status"] != "finished":
        text = b"The export process is not finished"
        return Answer(400, content=text, media_type="text/html")
    return Answer(200, path=Path(row["result_path"]), media_type="text/csv")


ROUTES = (
    Route("POST", "/api/events", _send),
    Route("POST", "/api/events/export", _export),
    Route("GET", "/api/events/download", _download),
)
