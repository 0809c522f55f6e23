"""A task moved to another project: its annotations follow to the labels of the same name."""

from __future__ import annotations

import json

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.resources import labels, records
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web.call import Call
from cvat_bridge.sandbox.web.errors import invalid

_KINDS = ("tag", "shape", "track")


def to_project(call: Call, task: Row, project_id: int) -> int:
    """Tie a task's annotations to a project's labels and give the project's id.

    ApiError 400 where the project lacks a label of that name and type, 404 where it is not there.
    """
    permissions.project(call, project_id)
    known = {
        (row["name"], row["type"]): row["id"] for row in labels.of_project(call.db, project_id)
    }
    held = labels.of_task(call.db, task)
    absent = [row["name"] for row in held if (row["name"], row["type"]) not in known]
    if absent:
        raise invalid(f"Target project does not have label with name '{absent[0]}'")
    follows = {row["id"]: known[row["name"], row["type"]] for row in held}
    for job in call.db.all("SELECT id FROM job WHERE task_id = ?", task["id"]):
        for kind in _KINDS:
            for row in call.db.all(f"SELECT * FROM {kind} WHERE job_id = ?", job["id"]):  # noqa: S608 our own names
                body = {**json.loads(row["body"]), "attributes": []}
                label_id = follows.get(row["label_id"], row["label_id"])
                if "label_id" in body:
                    body["label_id"] = label_id
                call.db.update(kind, row["id"], label_id=label_id, body=json.dumps(body))
    records.change(call, "project", project_id, updated_date=now())
    return project_id
