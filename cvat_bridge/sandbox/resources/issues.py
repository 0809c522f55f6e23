"""Issues: questions pinned to a place in a frame, and the comments under them."""

from __future__ import annotations

import json
from typing import Any

from cvat_bridge.sandbox.accounts import permissions, users
from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.resources import records
from cvat_bridge.sandbox.resources.projects import account
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import forbidden, invalid, not_found
from cvat_bridge.sandbox.web.listing import Index, listed

_INDEX = Index(
    equal=("owner", "assignee", "job_id", "task_id", "resolved", "frame_id"),
    logic=("owner", "assignee", "id", "job_id", "task_id", "resolved", "frame_id"),
    numeric=("job_id", "task_id", "frame_id"),
    search=("owner", "assignee"),
)
_COMMENT_INDEX = Index(
    equal=("owner", "issue_id", "job_id", "frame_id"),
    logic=("owner", "id", "issue_id", "job_id", "frame_id"),
    numeric=("issue_id", "job_id", "frame_id"),
    search=("owner",),
)
_ISSUE: dict[str, fields.Check] = {
    "job": fields.integer(),
    "frame": fields.integer(0),
    "position": fields.many(fields.number()),
    "message": fields.text(blank=False),
    "assignee": fields.nullable(fields.integer()),
    "resolved": fields.boolean,
}
_COMMENT: dict[str, fields.Check] = {
    "issue": fields.integer(),
    "message": fields.text(blank=False),
}


def view(call: Call, row: Row) -> dict[str, Any]:
    """Return an issue as the API has it."""
    count = call.db.scalar("SELECT count(*) FROM comment WHERE issue_id = ?", row["id"])
    return {
        "id": row["id"],
        "frame": row["frame"],
        "position": [float(value) for value in json.loads(row["position"])],
        "job": row["job_id"],
        "owner": users.basic(call, row["owner_id"]),
        "assignee": users.basic(call, row["assignee_id"]),
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
        "resolved": bool(row["resolved"]),
        "comments": {"count": count, "url": call.url(f"/api/comments?issue_id={row['id']}")},
    }


def comment_view(call: Call, row: Row) -> dict[str, Any]:
    """Return a comment as the API has it."""
    return {
        "id": row["id"],
        "issue": row["issue_id"],
        "owner": users.basic(call, row["owner_id"]),
        "message": row["message"],
        "created_date": row["created_date"],
        "updated_date": row["updated_date"],
    }


def _seen_jobs(call: Call) -> dict[int, Row]:
    tasks = {row["id"]: row for row in call.db.all("SELECT * FROM task")}
    return {
        job["id"]: job
        for job in call.db.all("SELECT * FROM job")
        if permissions.sees_job(call, job, tasks[job["task_id"]])
    }


def _names(call: Call) -> dict[int | None, str]:
    return {row["id"]: row["username"] for row in call.db.all("SELECT id, username FROM user")}


def _list(call: Call) -> Answer:
    seen, names = _seen_jobs(call), _names(call)
    rows = [
        {
            **row,
            "owner": names.get(row["owner_id"]),
            "assignee": names.get(row["assignee_id"]),
            "frame_id": row["frame"],
            "resolved": bool(row["resolved"]),
            "task_id": seen[row["job_id"]]["task_id"],
        }
        for row in call.db.all("SELECT * FROM issue")
        if row["job_id"] in seen
    ]
    return listed(call, rows, _INDEX, lambda row: view(call, row))


def _found(call: Call, issue_id: int) -> Row:
    row = call.db.get("issue", issue_id)
    if row is None:
        raise not_found("Issue")
    permissions.job(call, row["job_id"])
    return row


def _say(call: Call, issue_id: int, message: str) -> int:
    time = now()
    new = call.db.insert(
        "comment",
        issue_id=issue_id,
        owner_id=call.user["id"],
        message=message,
        created_date=time,
        updated_date=time,
    )
    events.created(call, "comment", new)
    return new


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _ISSUE, required=("job", "frame", "position", "message"))
    if call.db.get("job", taken["job"]) is None:
        raise invalid("Job matching query does not exist.")
    permissions.job(call, taken["job"])
    time = now()
    new = call.db.insert(
        "issue",
        job_id=taken["job"],
        frame=taken["frame"],
        position=json.dumps(taken["position"]),
        owner_id=call.user["id"],
        assignee_id=account(call, taken.get("assignee")),
        resolved=False,
        created_date=time,
        updated_date=time,
    )
    events.created(call, "issue", new)
    _say(call, new, taken["message"])
    return Answer(201, view(call, _found(call, new)))


def _patch(call: Call, issue_id: int) -> Answer:
    _found(call, issue_id)
    taken = fields.take(call.fields(), _ISSUE)
    columns: dict[str, Any] = {}
    if "position" in taken:
        columns["position"] = json.dumps(taken["position"])
    if "resolved" in taken:
        columns["resolved"] = taken["resolved"]
    if "assignee" in taken:
        columns["assignee_id"] = account(call, taken["assignee"])
    records.change(call, "issue", issue_id, updated_date=now(), **columns)
    return Answer(200, view(call, _found(call, issue_id)))


def _delete(call: Call, issue_id: int) -> Answer:
    row = _found(call, issue_id)
    if row["owner_id"] != call.user["id"]:
        permissions.job(call, row["job_id"], staff=True)
    events.deleted(call, "issue", issue_id)
    call.db.run("DELETE FROM comment WHERE issue_id = ?", issue_id)
    call.db.run("DELETE FROM issue WHERE id = ?", issue_id)
    return Answer(204)


def _comments(call: Call) -> Answer:
    seen, names = _seen_jobs(call), _names(call)
    owners = {row["id"]: row for row in call.db.all("SELECT * FROM issue")}
    rows = [
        {
            **row,
            "owner": names.get(row["owner_id"]),
            "job_id": owners[row["issue_id"]]["job_id"],
            "frame_id": owners[row["issue_id"]]["frame"],
        }
        for row in call.db.all("SELECT * FROM comment")
        if owners[row["issue_id"]]["job_id"] in seen
    ]
    return listed(call, rows, _COMMENT_INDEX, lambda row: comment_view(call, row))


def _comment(call: Call, comment_id: int) -> Row:
    row = call.db.get("comment", comment_id)
    if row is None:
        raise not_found("Comment")
    _found(call, row["issue_id"])
    return row


def _own_comment(call: Call, comment_id: int) -> Row:
    row = _comment(call, comment_id)
    if row["owner_id"] != call.user["id"] and not call.is_admin:
        raise forbidden()
    return row


def _create_comment(call: Call) -> Answer:
    taken = fields.take(call.fields(), _COMMENT, required=("issue", "message"))
    if call.db.get("issue", taken["issue"]) is None:
        raise invalid("Issue matching query does not exist.")
    _found(call, taken["issue"])
    new = _say(call, taken["issue"], taken["message"])
    return Answer(201, comment_view(call, _comment(call, new)))


def _patch_comment(call: Call, comment_id: int) -> Answer:
    _own_comment(call, comment_id)
    taken = fields.take(call.fields(), _COMMENT)
    columns = {"message": taken["message"]} if "message" in taken else {}
    records.change(call, "comment", comment_id, updated_date=now(), **columns)
    return Answer(200, comment_view(call, _comment(call, comment_id)))


def _delete_comment(call: Call, comment_id: int) -> Answer:
    _own_comment(call, comment_id)
    events.deleted(call, "comment", comment_id)
    call.db.run("DELETE FROM comment WHERE id = ?", comment_id)
    return Answer(204)


_ONE, _ONE_COMMENT = "/api/issues/{issue_id:int}", "/api/comments/{comment_id:int}"
ROUTES = (
    Route("GET", "/api/issues", _list),
    Route("POST", "/api/issues", _create),
    Route("GET", _ONE, lambda call, issue_id: Answer(200, view(call, _found(call, issue_id)))),
    Route("PATCH", _ONE, _patch),
    Route("DELETE", _ONE, _delete),
    Route("GET", "/api/comments", _comments),
    Route("POST", "/api/comments", _create_comment),
    Route(
        "GET",
        _ONE_COMMENT,
        lambda call, comment_id: Answer(200, comment_view(call, _comment(call, comment_id))),
    ),
    Route("PATCH", _ONE_COMMENT, _patch_comment),
    Route("DELETE", _ONE_COMMENT, _delete_comment),
)
