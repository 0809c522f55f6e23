"""GET …/data of tasks and jobs: frames, chunks and previews."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.frames import media
from cvat_bridge.sandbox.frames.data_meta import data_of
from cvat_bridge.sandbox.resources import jobs
from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, invalid


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
    data = data_of(call, task)
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
    data = data_of(call, task)
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
    return _preview(call, data_of(call, permissions.task(call, task_id)), 0)


def _job_preview(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    return _preview(call, data_of(call, task), jobs.frames(job)[0])


ROUTES = (
    Route("GET", "/api/tasks/{task_id:int}/data", _task_data),
    Route("GET", "/api/jobs/{job_id:int}/data", _job_data),
    Route("GET", "/api/tasks/{task_id:int}/preview", _task_preview),
    Route("GET", "/api/jobs/{job_id:int}/preview", _job_preview),
)
