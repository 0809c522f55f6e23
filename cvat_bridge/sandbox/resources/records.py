"""Changes to rows that webhooks tell the world about."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.notifications import events
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web.call import Call

TABLES = frozenset({"project", "task", "job", "issue", "comment"})


def change(call: Call, table: str, row_id: int, **columns: Any) -> Row:
    """Set columns of a row, note the difference for webhooks, and give the new row."""
    before = call.db.get(table, row_id) or {}
    call.db.update(table, row_id, **columns)
    after = call.db.get(table, row_id) or {}
    changes = {
        name: {"from": before.get(name), "to": value}
        for name, value in after.items()
        if before.get(name) != value
    }
    if changes or "state" in columns or "stage" in columns:
        events.updated(call, table, row_id, changes)
    return after


def touch_job(call: Call, job: Row, task: Row) -> None:
    """Move updated_date of a job, its task and its project, as every annotation write does."""
    time = now()
    change(call, "job", job["id"], updated_date=time)
    touch_task(call, task)


def touch_task(call: Call, task: Row) -> None:
    """Move updated_date of a task and its project."""
    time = now()
    change(call, "task", task["id"], updated_date=time)
    if task["project_id"] is not None:
        change(call, "project", task["project_id"], updated_date=time)
