"""Batch annotation: a function run over the frames of a job or task, one request a task."""

from __future__ import annotations

import json
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.annotations import labelling, merging
from cvat_bridge.sandbox.annotations.annotation_store import Objects
from cvat_bridge.sandbox.annotations.shapes import KINDS
from cvat_bridge.sandbox.models import functions, invocation, regions
from cvat_bridge.sandbox.models.functions import Function
from cvat_bridge.sandbox.resources import jobs
from cvat_bridge.sandbox.store.state import Row, now
from cvat_bridge.sandbox.web import fields
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError, forbidden, invalid

_FLUSH_EVERY = 100
_workers = ThreadPoolExecutor(1, thread_name_prefix="sandbox-batch")
_lock = threading.Lock()
_CHECKS: dict[str, fields.Check] = {
    "function": fields.text(blank=False),
    "task": fields.integer(),
    "job": fields.nullable(fields.integer()),
    "threshold": fields.nullable(fields.number()),
    "cleanup": fields.boolean,
    "conv_mask_to_poly": fields.boolean,
    "convMaskToPoly": fields.boolean,
    "mapping": lambda value: value,
    "max_distance": fields.nullable(fields.integer()),
    "roi": lambda value: value,
}


@dataclass
class Batch:
    """One batch request and how far it is; kept in memory, as CVAT keeps it in its queue."""

    id: str
    owner_id: int
    function_id: str
    asked: dict[str, Any]
    status: str = "queued"
    progress: int | None = None
    enqueued: str = field(default_factory=now)
    started: str | None = None
    ended: str | None = None
    exc_info: str | None = None
    cancelled: bool = False

    def view(self) -> dict[str, Any]:
        """Return the batch as the API has it."""
        about = {"id": self.function_id, "task": self.asked["task"]}
        if self.asked.get("job") is not None:
            about["job"] = self.asked["job"]
        about["threshold"] = self.asked.get("threshold")
        return {
            "id": self.id,
            "function": about,
            "status": self.status,
            "progress": self.progress,
            "enqueued": self.enqueued,
            "started": self.started,
            "ended": self.ended,
            "exc_info": self.exc_info,
        }


_batches: dict[tuple[str, str], Batch] = {}


def _key(call: Call, batch_id: str) -> tuple[str, str]:
    return str(call.state.folder), batch_id


def _create(call: Call) -> Answer:
    asked = fields.take(call.fields(), _CHECKS, required=("function", "task"))
    if call.db.get("task", asked["task"]) is None:
        raise invalid("Task matching query does not exist.")
    if asked.get("job") is not None:
        job, task = permissions.job(call, asked["job"])
        if task["id"] != asked["task"]:
            raise invalid("Job task ID does not match task ID")
    else:
        job, task = None, permissions.task(call, asked["task"])
    function = functions.get(call.state, asked["function"])
    _check_region(call, task, job, asked.get("roi"))
    batch_id = f"action=autoannotate&target=task&target_id={task['id']}"
    with _lock:
        last = _batches.get(_key(call, batch_id))
        if last is not None and last.status in {"queued", "started"}:
            raise ApiError(
                409, f"Only one running request is allowed for the same task #{task['id']}"
            )
        batch = Batch(batch_id, call.user["id"], function.id, asked)
        batch.exc_info = last.exc_info if last else None
        _batches[_key(call, batch_id)] = batch
    shown = batch.view()
    _workers.submit(_run, call, batch, function)
    return Answer(200, shown)


def _check_region(call: Call, task: Row, job: Row | None, roi: Any) -> None:
    if roi is None:
        return
    regions.parse(roi)
    if job is None:
        sizes = call.db.all(
            "SELECT DISTINCT width, height FROM frame WHERE data_id = ?", task["data_id"]
        )
        if len(sizes) > 1:
            raise invalid(
                "ROI can be used for task annotation only when all processed frames have the "
                "same resolution"
            )


def _run(call: Call, batch: Batch, function: Function) -> None:
    call.background = True
    batch.status, batch.started = "started", now()
    try:
        _annotate(call, batch, function)
        batch.status, batch.exc_info = "finished", None
    except Exception:  # noqa: BLE001  the edge of a worker: CVAT shows the traceback in exc_info
        batch.status, batch.exc_info = "failed", traceback.format_exc()
    batch.ended = now()
    steps, call.after = list(call.after), []
    for step in steps:
        step()


def _annotate(call: Call, batch: Batch, function: Function) -> None:
    asked = batch.asked
    task = call.db.get("task", asked["task"]) or {}
    job = call.db.get("job", asked.get("job"))
    data = call.db.get("data", task["data_id"]) or {"size": 0, "deleted_frames": "[]"}
    if asked.get("cleanup"):
        with call.db.transaction():
            _clear(call, task, job)
    if function.kind != "detector":
        return
    labels_to = invocation.targets(call.state, function, task, asked.get("mapping"))
    region = regions.parse(asked["roi"]) if asked.get("roi") is not None else None
    deleted = set(json.loads(data["deleted_frames"]))
    numbers = jobs.frames(job) if job else list(range(data["size"]))
    found: Objects = {kind: [] for kind in KINDS}
    to_polygons = bool(asked.get("conv_mask_to_poly") or asked.get("convMaskToPoly"))
    for number in numbers:
        if batch.cancelled:
            return
        if number in deleted:
            continue
        one = invocation.detect(
            call.state,
            function,
            task,
            number,
            labels_to=labels_to,
            threshold=asked.get("threshold"),
            masks_to_polygons=to_polygons,
            region=region,
        )
        for kind in KINDS:
            found[kind] += one[kind]
        batch.progress = 100 * (number + 1) // data["size"]
        if number % _FLUSH_EVERY == 0:
            _store(call, task, job, found)
            found = {kind: [] for kind in KINDS}
    if not batch.cancelled:
        _store(call, task, job, found)


def _clear(call: Call, task: Row, job: Row | None) -> None:
    for one in [job] if job else merging.task_jobs(call.db, task):
        labelling.apply(call, one, task, "put", {kind: [] for kind in KINDS})


def _store(call: Call, task: Row, job: Row | None, found: Objects) -> None:
    with call.db.transaction():
        if job is not None:
            labelling.apply(call, job, task, "create", found)
        else:
            labelling.apply_task(call, task, "create", found)


def _visible(call: Call, batch: Batch) -> bool:
    task = call.db.get("task", batch.asked["task"])
    return task is not None and permissions.staff_of_task(call, task)


def _list(call: Call) -> Answer:
    own = [batch for key, batch in _batches.items() if key[0] == str(call.state.folder)]
    shown = [b.view() for b in own if b.status != "failed" and _visible(call, b)]
    return Answer(200, shown)


def _found(call: Call, batch_id: str) -> Batch:
    batch = _batches.get(_key(call, batch_id))
    if batch is None:
        raise ApiError(404, f"{batch_id} lambda job is not found")
    return batch


def _retrieve(call: Call, batch_id: str) -> Answer:
    batch = _found(call, batch_id)
    if batch.owner_id != call.user["id"] and not _visible(call, batch):
        raise forbidden()
    return Answer(200, batch.view())


def _cancel(call: Call, batch_id: str) -> Answer:
    batch = _found(call, batch_id)
    if batch.owner_id != call.user["id"] and not call.is_admin:
        raise forbidden()
    batch.cancelled = True
    _batches.pop(_key(call, batch_id), None)
    return Answer(204)


ROUTES = (
    Route("GET", "/api/lambda/requests", _list),
    Route("POST", "/api/lambda/requests", _create, atomic=False),
    Route("GET", "/api/lambda/requests/{batch_id}", _retrieve),
    Route("DELETE", "/api/lambda/requests/{batch_id}", _cancel),
)
