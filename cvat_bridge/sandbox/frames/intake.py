"""POST /api/tasks/<id>/data: what a task is to be made of."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.frames import creation, requests, uploads
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid

_SORTING = ("lexicographical", "natural", "predefined", "random")


def _files(value: Any) -> list[str]:
    """Take server files as names or as {file: name}; faults one a file."""
    if not isinstance(value, list):
        raise fields.FieldError("Expected a list of items.")
    names: list[str] = []
    faults: list[dict[str, list[str]]] = []
    for item in value:
        name = str(item.get("file", "") if isinstance(item, dict) else item)
        fault = None
        if ".." in PurePosixPath(name).parts:
            fault = "path contains a '..' segment"
        elif name.startswith("/"):
            fault = "path is not relative"
        faults.append({"file": [fault]} if fault else {})
        names.append(name)
    if any(faults):
        raise fields.FieldError(faults)
    return names


def _mapping(value: Any) -> list[list[str]]:
    taken: list[list[str]] = fields.many(fields.many(fields.text(), empty=False), empty=False)(
        value
    )
    seen: set[str] = set()
    for name in (name for job in taken for name in job):
        if name in seen:
            raise fields.FieldError(
                f"The same file '{name}' cannot be used multiple times in the job file mapping"
            )
        seen.add(name)
    return taken


_VALIDATION: dict[str, fields.Check] = {
    "mode": fields.choice("gt", "gt_pool"),
    "frame_selection_method": fields.choice("random_uniform", "random_per_job", "manual"),
    "random_seed": fields.integer(0),
    "frames": fields.many(fields.text()),
    "frame_count": fields.integer(1),
    "frame_share": fields.number(0, 1),
    "frames_per_job_count": fields.integer(1),
    "frames_per_job_share": fields.number(0, 1),
}


def _validation(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    taken, faults = fields.examine(value, _VALIDATION, required=("mode", "frame_selection_method"))
    if faults:
        raise fields.FieldError(faults)
    return taken


_CHECKS: dict[str, fields.Check] = {
    "image_quality": fields.integer(1, 100),
    "chunk_size": fields.nullable(fields.integer(1)),
    "start_frame": fields.integer(0),
    "stop_frame": fields.nullable(fields.integer(0)),
    "frame_filter": fields.text(256),
    "use_zip_chunks": fields.boolean,
    "use_cache": fields.boolean,
    "copy_data": fields.boolean,
    "sorting_method": fields.choice(*_SORTING),
    "server_files": _files,
    "server_files_exclude": fields.many(fields.text()),
    "remote_files": _files,
    "cloud_storage_id": fields.nullable(fields.integer()),
    "job_file_mapping": _mapping,
    "upload_file_order": fields.many(fields.text()),
    "filename_pattern": fields.nullable(fields.text()),
    "validation_params": _validation,
}


def _post(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    owner = f"task-{task_id}"
    if task["data_id"] is not None:
        raise invalid("Adding more data is not supported")
    if "upload-start" in call.headers:
        return Answer(202)
    if "upload-length" in call.headers:
        return uploads.begin(call, owner)
    if "upload-multiple" in call.headers:
        uploads.keep(call, owner, call.files)
        return Answer(200)
    body = call.json()
    if call.form is not None and "job_file_mapping" in body:
        body["job_file_mapping"] = [body["job_file_mapping"]]
    settings = fields.take(body, _CHECKS, required=())
    if settings.get("filename_pattern") and settings.get("server_files"):
        text = "The filename_pattern can only be used with specified manifest or without "
        raise invalid({"non_field_errors": [f"{text}server_files"]})
    settings["arrival"] = uploads.keep(call, owner, call.files)
    _place(call, settings)
    data_id = _begin(call, task, settings)
    request_id = requests.start(
        call,
        f"action=create&target=task&target_id={task_id}",
        lambda: creation.attach(call, task_id, data_id, settings),
        type="create:task",
        target="task",
        task_id=task_id,
        project_id=task["project_id"],
        org_id=task["organization_id"],
    )
    return Answer(202, {"rq_id": request_id})


def _place(call: Call, settings: dict[str, Any]) -> None:
    """Say where the files lie: with us, on the share, or in a cloud storage."""
    settings["storage"] = "local"
    cloud_id = settings.get("cloud_storage_id")
    if cloud_id is not None:
        row = call.db.get("cloudstorage", cloud_id)
        if row is None:
            raise invalid("CloudStorage matching query does not exist.")
        settings.update(storage="cloud_storage", root=row["folder"])
    elif settings.get("server_files"):
        if call.state.share is None:
            raise invalid("The sandbox was started without a share folder")
        settings.update(storage="share", root=str(call.state.share))


def _begin(call: Call, task: Row, settings: dict[str, Any]) -> int:
    data_id = call.db.insert(
        "data",
        chunk_size=None,
        size=0,
        image_quality=settings.get("image_quality"),
        start_frame=0,
        stop_frame=0,
        frame_filter=settings.get("frame_filter", ""),
        storage="local" if settings.get("copy_data") else settings["storage"],
        cloud_storage_id=settings.get("cloud_storage_id"),
        compressed_type="imageset",
        original_type="imageset",
        deleted_frames="[]",
        chunks_updated_date=now(),
    )
    call.db.update("task", task["id"], data_id=data_id)
    return data_id


def _tus(task_id: int, call: Call) -> str:
    permissions.task(call, task_id)
    return f"task-{task_id}"


ROUTES = (
    Route("POST", "/api/tasks/{task_id:int}/data", _post),
    Route("OPTIONS", "/api/tasks/{task_id:int}/data", uploads.options),
    Route(
        "PATCH",
        "/api/tasks/{task_id:int}/data/{file_id}",
        lambda call, task_id, file_id: uploads.append(call, _tus(task_id, call), file_id),
    ),
    Route(
        "HEAD",
        "/api/tasks/{task_id:int}/data/{file_id}",
        lambda call, task_id, file_id: uploads.progress(call, _tus(task_id, call), file_id),
    ),
    Route("OPTIONS", "/api/tasks/{task_id:int}/data/{file_id}", uploads.options),
)
