"""Deleting tasks and jobs with all that hangs on them."""

from __future__ import annotations

import shutil

from cvat_bridge.sandbox.resources import labels
from cvat_bridge.sandbox.web.call import Call


def remove_task(call: Call, task_id: int) -> None:
    """Delete a task with its jobs, annotations, labels and files."""
    task = call.db.get("task", task_id) or {}
    for job in call.db.all("SELECT id FROM job WHERE task_id = ?", task_id):
        remove_job(call, job["id"])
    for row in call.db.all("SELECT id FROM label WHERE task_id = ? AND parent_id IS NULL", task_id):
        labels.remove(call, row["id"])
    data_id = task.get("data_id")
    if data_id is not None:
        call.db.run("DELETE FROM frame WHERE data_id = ?", data_id)
        call.db.run("DELETE FROM data WHERE id = ?", data_id)
        folder = call.state.folder
        for part in ("data", "chunks"):
            call.after.append(
                lambda path=folder / part / str(data_id): shutil.rmtree(  # type: ignore[misc]
                    path, ignore_errors=True
                )
            )
    call.db.run("DELETE FROM guide WHERE task_id = ?", task_id)
    call.db.run("DELETE FROM request WHERE id LIKE ?", f"%target=task&target_id={task_id}")
    call.db.run("DELETE FROM task WHERE id = ?", task_id)


def remove_job(call: Call, job_id: int) -> None:
    """Delete a job with its annotations and issues."""
    for table in ("tag", "shape", "track"):
        call.db.run(f"DELETE FROM {table} WHERE job_id = ?", job_id)  # noqa: S608  tables are ours
    call.db.run(
        "DELETE FROM comment WHERE issue_id IN (SELECT id FROM issue WHERE job_id = ?)", job_id
    )
    call.db.run("DELETE FROM issue WHERE job_id = ?", job_id)
    call.db.run("DELETE FROM job WHERE id = ?", job_id)
