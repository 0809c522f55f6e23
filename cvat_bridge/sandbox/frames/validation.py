"""Ground-truth jobs: some frames of a task, annotated apart as a reference."""

from __future__ import annotations

import json
import random
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.resources import jobs
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid

_METHODS = ("random_uniform", "random_per_job", "manual")
_CHECKS: dict[str, fields.Check] = {
    "type": fields.choice(*jobs.TYPES),
    "task_id": fields.integer(0),
    "frame_selection_method": fields.choice(*_METHODS),
    "frames": fields.many(fields.integer(0)),
    "frame_count": fields.integer(1),
    "frame_share": fields.number(0, 1),
    "frames_per_job_count": fields.integer(1),
    "frames_per_job_share": fields.number(0, 1),
    "random_seed": fields.integer(0),
    "assignee": fields.nullable(fields.integer()),
}


def _picked(call: Call, task: Row, data: Row, given: dict[str, Any]) -> list[int]:
    method = given.get("frame_selection_method")
    dice = random.Random(given.get("random_seed"))
    if method == "manual":
        wanted = sorted(set(given.get("frames") or ()))
        if not wanted:
            raise invalid("The list of frames cannot be empty")
        unknown = [str(number) for number in wanted if number >= data["size"]]
        if unknown:
            text = f"The following frames do not exist in the task: {', '.join(unknown)}"
            raise invalid(text)
        return wanted
    if method == "random_uniform":
        pools = [list(range(data["size"]))]
        count, share = given.get("frame_count"), given.get("frame_share")
    else:
        found = call.db.all(
            "SELECT * FROM job WHERE task_id = ? AND type = 'annotation'", task["id"]
        )
        pools = [jobs.frames(job) for job in found]
        count, share = given.get("frames_per_job_count"), given.get("frames_per_job_share")
    if (count is None) == (share is None):
        raise invalid("One of the count and the share of frames is required")
    chosen: set[int] = set()
    for pool in pools:
        taken = count if count is not None else max(1, int((share or 0) * len(pool)))
        if taken > len(pool):
            raise invalid(
                f"The number of frames requested ({taken}) must be not be greater than "
                f"the number of the task frames ({len(pool)})"
            )
        chosen |= set(dice.sample(pool, taken))
    return sorted(chosen)


def attach(call: Call, task: Row, data: Row, given: dict[str, Any] | None) -> None:
    """Make the ground-truth job that a task's validation_params ask for."""
    if not given:
        return
    if given.get("frame_selection_method") == "manual":
        rows = call.db.all("SELECT number, name FROM frame WHERE data_id = ?", data["id"])
        numbers = {row["name"]: row["number"] for row in rows}
        missing = [name for name in given.get("frames", ()) if name not in numbers]
        if missing:
            raise invalid(f"Unknown validation frames: {', '.join(missing)}")
        given = {**given, "frames": [numbers[name] for name in given.get("frames", ())]}
    _add(call, task, data, _picked(call, task, data, given))


def _add(call: Call, task: Row, data: Row, numbers: list[int]) -> int:
    job_id = jobs.add(
        call, task["id"], "ground_truth", 0, data["size"] - 1, frames=json.dumps(numbers)
    )
    call.db.update("data", data["id"], validation_mode="gt")
    return job_id


def attach_pool(call: Call, task: Row, data: Row, first: int, last: int) -> None:
    """Make the ground-truth job of a task with honeypots: the pool behind all other frames."""
    jobs.add(call, task["id"], "ground_truth", first, last)
    call.db.update("data", data["id"], validation_mode="gt_pool")


def _layout(call: Call, task_id: int) -> Answer:
    """Return which frames judge, and which of the others show one of them (honeypots)."""
    task = permissions.task(call, task_id)
    data = call.db.get("data", task["data_id"]) or {}
    mode = data.get("validation_mode")
    if not mode:
        return Answer(200, {"mode": None})
    (truth,) = call.db.all("SELECT * FROM job WHERE task_id = ? AND type = 'ground_truth'", task_id)
    told = {
        "mode": mode,
        "frames_per_job_count": None,
        "validation_frames": jobs.frames(truth),
        "disabled_frames": [],
    }
    if mode == "gt_pool":
        rows = call.db.all("SELECT number, name FROM frame WHERE data_id = ?", data["id"])
        real = {row["name"]: row["number"] for row in rows if row["number"] >= truth["start_frame"]}
        shown = {
            row["number"]: real[row["name"]]
            for row in rows
            if row["name"] in real and row["number"] < truth["start_frame"]
        }
        first = call.db.all(
            "SELECT * FROM job WHERE task_id = ? AND type = 'annotation' LIMIT 1", task_id
        )
        told |= {
            "frames_per_job_count": sum(n in shown for job in first for n in jobs.frames(job)),
            "honeypot_count": len(shown),
            "honeypot_frames": sorted(shown),
            "honeypot_real_frames": [shown[n] for n in sorted(shown)],
        }
    return Answer(200, told)


def _create(call: Call) -> Answer:
    taken = fields.take(call.fields(), _CHECKS, required=("type", "task_id"))
    if taken["type"] != "ground_truth":
        raise invalid(f"Unexpected job type '{taken['type']}'")
    if call.db.get("task", taken["task_id"]) is None:
        raise invalid("Task matching query does not exist.")
    task = permissions.task(call, taken["task_id"])
    data = call.db.get("data", task["data_id"])
    if data is None or not data["size"]:
        raise invalid("This task has no media data and cannot have jobs yet")
    existing = call.db.one(
        "SELECT id FROM job WHERE task_id = ? AND type = 'ground_truth'", task["id"]
    )
    if existing:
        raise invalid("A task can have only 1 ground truth job")
    if "frame_selection_method" not in taken:
        raise invalid({"frame_selection_method": ["This field is required"]})
    job_id = _add(call, task, data, _picked(call, task, data, taken))
    if taken.get("assignee") is not None:
        call.db.update("job", job_id, assignee_id=taken["assignee"], assignee_updated_date=now())
    return Answer(201, jobs.view(call, *permissions.job(call, job_id)))


ROUTES = (
    Route("POST", "/api/jobs", _create),
    Route("GET", "/api/tasks/{task_id:int}/validation_layout", _layout),
)
