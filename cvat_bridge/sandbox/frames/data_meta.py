"""…/data/meta of tasks and jobs: the frames, and which of them are deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.frames import media
from cvat_bridge.sandbox.resources import jobs, records
from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid


def data_of(call: Call, task: Row) -> Row | None:
    """Return the data of a task; None while it has none."""
    data = call.db.get("data", task["data_id"])
    return data if data and data["size"] else None


def _frames_meta(call: Call, data: Row) -> list[dict[str, Any]]:
    if data["video"]:
        rows = [json.loads(data["video_name"])]
    else:
        rows = call.db.all(
            "SELECT name, width, height FROM frame WHERE data_id = ? ORDER BY number", data["id"]
        )
    return [
        {
            "width": row["width"],
            "height": row["height"],
            "name": row["name"],
            "related_files": 0,
            "has_related_context": False,
        }
        for row in rows
    ]


def _meta(data: Row, **own: Any) -> dict[str, Any]:
    return {
        "chapters": [] if data["video"] else None,
        "chunks_updated_date": data["chunks_updated_date"],
        "chunk_size": data["chunk_size"],
        "size": data["size"],
        "image_quality": data["image_quality"],
        "start_frame": data["start_frame"],
        "stop_frame": data["stop_frame"],
        "frame_filter": data["frame_filter"],
        "frames": [],
        "deleted_frames": json.loads(data["deleted_frames"]),
        "included_frames": None,
        "storage": data["storage"],
        "cloud_storage_id": data["cloud_storage_id"],
        **own,
    }


def task_meta(call: Call, task: Row) -> dict[str, Any]:
    """Return what data/meta of a task says; ApiError 400 without data."""
    data = data_of(call, task)
    if data is None:
        raise invalid("Data is not uploaded for the task yet")
    return _meta(data, frames=_frames_meta(call, data))


def job_meta(call: Call, job: Row, task: Row) -> dict[str, Any]:
    """Return what data/meta of a job says."""
    data = data_of(call, task)
    if data is None:
        raise invalid("Data is not uploaded for the task yet")
    own = jobs.frames(job)
    everything = _frames_meta(call, data)
    part = everything if data["video"] else everything[job["start_frame"] : job["stop_frame"] + 1]
    if job["frames"] and not data["video"]:
        blank = {"name": "placeholder.jpg", "related_files": 0, "has_related_context": False}
        chosen = set(own)
        part = [
            entry if number in chosen else {**entry, **blank}
            for number, entry in enumerate(part, job["start_frame"])
        ]
    step = media.step(data)
    deleted = [n for n in json.loads(data["deleted_frames"]) if n in set(own)]
    return _meta(
        data,
        frames=part,
        deleted_frames=deleted,
        size=len(own) if job["frames"] else job["stop_frame"] - job["start_frame"] + 1,
        start_frame=data["start_frame"] + job["start_frame"] * step,
        stop_frame=data["start_frame"] + job["stop_frame"] * step,
        # As CVAT does: numbers of the source, not of the task.
        included_frames=[data["start_frame"] + n * step for n in own] if job["frames"] else None,
    )


_META: dict[str, fields.Check] = {
    "deleted_frames": fields.many(fields.integer(0)),
    "cloud_storage_id": fields.nullable(fields.integer()),
}


def _set_deleted(call: Call, task: Row, asked: Sequence[int], within: Sequence[int]) -> None:
    """Replace the deleted frames among those within."""
    data = data_of(call, task)
    if data is None:
        raise invalid("Data is not uploaded for the task yet")
    unknown = [str(number) for number in asked if number not in set(within)]
    if unknown:
        text = f"Unknown frames {', '.join(unknown)} requested for removal"
        raise invalid({"deleted_frames": [text]})
    others = set(json.loads(data["deleted_frames"])) - set(within)
    kept = sorted(others | set(asked))
    call.db.update("data", data["id"], deleted_frames=json.dumps(kept))
    records.touch_task(call, task)


def _patch_task_meta(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    taken = fields.take(call.fields(), _META)
    if "deleted_frames" in taken:
        size = (data_of(call, task) or {}).get("size", 0)
        _set_deleted(call, task, taken["deleted_frames"], range(size))
    return Answer(200, task_meta(call, task))


def _patch_job_meta(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    taken = fields.take(call.fields(), _META)
    if "deleted_frames" in taken:
        _set_deleted(call, task, taken["deleted_frames"], jobs.frames(job))
    return Answer(200, job_meta(call, job, task))


ROUTES = (
    Route(
        "GET",
        "/api/tasks/{task_id:int}/data/meta",
        lambda call, task_id: Answer(200, task_meta(call, permissions.task(call, task_id))),
    ),
    Route("PATCH", "/api/tasks/{task_id:int}/data/meta", _patch_task_meta),
    Route(
        "GET",
        "/api/jobs/{job_id:int}/data/meta",
        lambda call, job_id: Answer(200, job_meta(call, *permissions.job(call, job_id))),
    ),
    Route("PATCH", "/api/jobs/{job_id:int}/data/meta", _patch_job_meta),
)
