"""GET …/data (frames, chunks, previews) and …/data/meta of tasks and jobs."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

from cvat_bridge.sandbox import fields, jobs, media, permissions, records
from cvat_bridge.sandbox.call import Answer, Call, Route
from cvat_bridge.sandbox.errors import ApiError, invalid
from cvat_bridge.sandbox.state import Row


def _data_of(call: Call, task: Row) -> Row | None:
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
    """Give what data/meta of a task says; ApiError 400 without data."""
    data = _data_of(call, task)
    if data is None:
        raise invalid("Data is not uploaded for the task yet")
    return _meta(data, frames=_frames_meta(call, data))


def job_meta(call: Call, job: Row, task: Row) -> dict[str, Any]:
    """Give what data/meta of a job says."""
    data = _data_of(call, task)
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
        included_frames=own if job["frames"] else None,
    )


_META: dict[str, fields.Check] = {
    "deleted_frames": fields.many(fields.integer(0)),
    "cloud_storage_id": fields.nullable(fields.integer()),
}


def _set_deleted(call: Call, task: Row, asked: Sequence[int], within: Sequence[int]) -> None:
    """Replace the deleted frames among those within."""
    data = _data_of(call, task)
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
        size = (_data_of(call, task) or {}).get("size", 0)
        _set_deleted(call, task, taken["deleted_frames"], range(size))
    return Answer(200, task_meta(call, task))


def _patch_job_meta(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    taken = fields.take(call.fields(), _META)
    if "deleted_frames" in taken:
        _set_deleted(call, task, taken["deleted_frames"], jobs.frames(job))
    return Answer(200, job_meta(call, job, task))


def _asked(call: Call) -> tuple[str, str]:
    kind, quality = call.query.get("type", ""), call.query.get("quality", "compressed")
    if kind not in {"chunk", "frame", "context_image"}:
        raise invalid("Data type not specified or has wrong value")
    if "number" not in call.query and "index" not in call.query:
        raise invalid("Number is not specified")
    if quality not in {"original", "compressed"}:
        raise invalid("Wrong quality value")
    return kind, quality


def _number(call: Call, name: str) -> int:
    text = call.query.get(name, "")
    if not text.isdigit():
        raise invalid(f"Wrong {name} value")
    return int(text)


def _file(content: bytes, media_type: str, data: Row) -> Answer:
    headers = {
        "X-Checksum": f"{zlib.crc32(content):08x}",
        "X-Updated-Date": data["chunks_updated_date"],
    }
    return Answer(200, content=content, media_type=media_type, headers=headers)


def _chunk(call: Call, data: Row, numbers: Sequence[int], quality: str) -> Answer:
    path, media_type = media.chunk(call.state, data, numbers, quality)
    headers = {
        "X-Checksum": f"{zlib.crc32(path.read_bytes()):08x}",
        "X-Updated-Date": data["chunks_updated_date"],
    }
    return Answer(200, path=path, media_type=media_type, headers=headers)


def _frame(call: Call, data: Row, number: int, quality: str) -> Answer:
    take = media.original if quality == "original" else media.compressed
    content, extension = take(call.state, data, number)
    return _file(content, media.mime(f"x.{extension}"), data)


def _pieces(numbers: Sequence[int], size: int) -> list[Sequence[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _piece(pieces: Sequence[Sequence[int]], number: int) -> Sequence[int]:
    if number >= len(pieces):
        raise ApiError(
            400,
            f"Invalid chunk number '{number}'. The chunk number should be in the "
            f"[0, {len(pieces) - 1}] range",
        )
    return pieces[number]


def _no_context(data: Row) -> Answer:
    out = io.BytesIO()
    zipfile.ZipFile(out, "w").close()
    return _file(out.getvalue(), "application/zip", data)


def _task_data(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    data = _data_of(call, task)
    if data is None:
        raise ApiError(404, "Task has no media")
    if call.method == "HEAD":
        raise ValueError("CVAT fails on HEAD here, and so do we")
    kind, quality = _asked(call)
    number = _number(call, "number")
    if kind == "context_image":
        return _no_context(data)
    if kind == "chunk":
        pieces = _pieces(range(data["size"]), data["chunk_size"])
        return _chunk(call, data, _piece(pieces, number), quality)
    if number >= data["size"]:
        raise ApiError(
            400,
            f"Invalid frame '{number}'. The frame number should be in the "
            f"[0, {data['size']}] range",
        )
    return _frame(call, data, number, quality)


def _job_data(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    data = _data_of(call, task)
    if data is None:
        raise ApiError(404, "Task has no media")
    kind, quality = _asked(call)
    own = jobs.frames(job)
    if kind == "context_image":
        return _no_context(data)
    if kind == "frame":
        number = _number(call, "number")
        if number not in own:
            raise ApiError(400, f"Incorrect requested frame number: {number}")
        return _frame(call, data, number, quality)
    size = data["chunk_size"]
    if "index" in call.query:
        return _chunk(call, data, _piece(_pieces(own, size), _number(call, "index")), quality)
    number = _number(call, "number")
    clipped = [n for n in own if n // size == number]
    if not clipped:
        first, last = own[0] // size, own[-1] // size
        raise ApiError(
            400,
            f"Invalid chunk number '{number}'. The chunk number should be in the "
            f"[{first}, {last}] range",
        )
    return _chunk(call, data, clipped, quality)


def _preview(call: Call, data: Row | None, number: int) -> Answer:
    if data is None:
        raise ApiError(404, "Task has no media")
    return _file(media.preview(call.state, data, number), "image/jpeg", data)


def _task_preview(call: Call, task_id: int) -> Answer:
    return _preview(call, _data_of(call, permissions.task(call, task_id)), 0)


def _job_preview(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    return _preview(call, _data_of(call, task), jobs.frames(job)[0])


ROUTES = (
    Route("GET", "/api/tasks/{task_id:int}/data", _task_data),
    Route("GET", "/api/jobs/{job_id:int}/data", _job_data),
    Route("GET", "/api/tasks/{task_id:int}/preview", _task_preview),
    Route("GET", "/api/jobs/{job_id:int}/preview", _job_preview),
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
