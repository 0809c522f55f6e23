"""Background work and the requests that tell how it goes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError
from cvat_bridge.sandbox.web.listing import Index, listed

log = logging.getLogger(__name__)
_workers = ThreadPoolExecutor(2, thread_name_prefix="sandbox-request")
_KEPT = timedelta(minutes=8, seconds=20)
_INDEX = Index(
    equal=(
        "action",
        "target",
        "subresource",
        "status",
        "project_id",
        "task_id",
        "job_id",
        "format",
    ),
    logic=(
        "status",
        "project_id",
        "task_id",
        "job_id",
        "action",
        "target",
        "subresource",
        "format",
        "org",
    ),
    choices={"status": ("queued", "started", "failed", "finished")},
)


class RequestError(Exception):
    """What went wrong in background work, as the request tells it."""


def start(
    call: Call, request_id: str, work: Callable[[], dict[str, Any] | None], **operation: Any
) -> str:
    """Queue work and give the request's id; it begins when the route has committed.

    work may give result_path, result_url and result_id. Refused (409) while the same request is
    under way.
    """
    found = call.db.get("request", request_id)
    if found and found["status"] in {"queued", "started"}:
        raise ApiError(409, {"rq_id": request_id})
    call.db.run("DELETE FROM request WHERE id = ?", request_id)
    names = ("type", "target", "project_id", "task_id", "job_id", "org_id", "format", "lightweight")
    call.db.insert(
        "request",
        id=request_id,
        owner_id=call.user["id"],
        status="queued",
        message="",
        operation=json.dumps({name: operation.get(name) for name in names}),
        progress=0.0,
        created_date=now(),
    )

    def begin() -> None:
        _workers.submit(_run, call, request_id, work)

    call.after.append(begin)
    return request_id


def _run(call: Call, request_id: str, work: Callable[[], dict[str, Any] | None]) -> None:
    call.background = True
    call.after.clear()
    with call.db.transaction():
        call.db.update("request", request_id, status="started", started_date=now())
    try:
        result = work() or {}
        outcome: dict[str, Any] = {"status": "finished", **result}
    except (RequestError, ApiError) as error:
        outcome = {"status": "failed", "message": str(error)}
    except Exception as error:  # the edge of a worker: CVAT shows the traceback's last line
        log.exception("request %s failed", request_id)
        outcome = {"status": "failed", "message": f"{type(error).__name__}: {error}"}
    with call.db.transaction():
        call.db.update("request", request_id, finished_date=now(), **outcome)
        if outcome["status"] == "finished":
            events.completed(call, request_id)
    for step in call.after:
        step()


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return a request as the API has it."""
    expiry = None
    if row["finished_date"]:
        ended = datetime.fromisoformat(row["finished_date"].replace("Z", "+00:00"))
        expiry = (ended + _KEPT).astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    owner = call.db.get("user", row["owner_id"])
    return {
        "status": row["status"],
        "message": row["message"],
        "id": row["id"],
        "operation": json.loads(row["operation"]),
        "progress": row["progress"],
        "created_date": row["created_date"],
        "started_date": row["started_date"],
        "finished_date": row["finished_date"],
        "expiry_date": expiry,
        "owner": {"id": owner["id"], "username": owner["username"]} if owner else None,
        "result_url": call.url(row["result_url"]) if row["result_url"] else None,
        "result_id": row["result_id"],
    }


def _list(call: Call) -> Answer:
    rows = []
    for row in call.db.all("SELECT * FROM request WHERE owner_id = ?", call.user["id"]):
        operation = json.loads(row["operation"])
        action, _, subresource = operation["type"].partition(":")
        rows.append({**row, **operation, "action": action, "subresource": subresource})
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def _retrieve(call: Call, request_id: str) -> Answer:
    row = call.db.get("request", request_id)
    if row is None:
        raise ApiError(404, "There is no request with specified id")
    if row["owner_id"] != call.user["id"] and not call.is_admin:
        raise ApiError(403, {"detail": "You do not have permission to perform this action."})
    return Answer(200, view(call, row))


def _cancel(call: Call, request_id: str) -> Answer:
    row = call.db.get("request", request_id)
    if row is None:
        raise ApiError(404, "There is no request with specified id")
    if row["status"] != "queued":
        raise ApiError(400, "Only requests that have not yet been started can be cancelled")
    call.db.run("DELETE FROM request WHERE id = ?", request_id)
    return Answer(200)


ROUTES = (
    Route("GET", "/api/requests", _list),
    Route("GET", "/api/requests/{request_id}", _retrieve),
    Route("POST", "/api/requests/{request_id}/cancel", _cancel),
)
