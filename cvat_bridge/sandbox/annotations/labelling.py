"""GET, PUT, PATCH and DELETE of …/annotations, for jobs and for whole tasks."""

from __future__ import annotations

from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.annotations import annotation_store, merging, shapes
from cvat_bridge.sandbox.annotations.annotation_store import Objects
from cvat_bridge.sandbox.resources import records
from cvat_bridge.sandbox.resources.label_book import LabelBook
from cvat_bridge.sandbox.store.state import Row
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid

_IDS = {"create": False, "update": None, "delete": True}


def _get_job(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    book = LabelBook.of(call.db, task)
    return Answer(200, annotation_store.whole(annotation_store.read(call.db, job["id"], book)))


def _action(call: Call) -> str:
    action = call.query.get("action", "")
    if action not in _IDS:
        raise invalid("Please specify a correct 'action' for the request")
    return action


def apply(call: Call, job: Row, task: Row, action: str, given: Objects) -> Objects:
    """Create, update, delete or put (wipe, then create) objects of one job."""
    book = LabelBook.of(call.db, task)
    wiped = action == "put" and annotation_store.clear(call.db, job["id"])
    if action in {"update", "delete"}:
        annotation_store.delete(call.db, job["id"], given)
    made = given if action == "delete" else annotation_store.create(call.db, job["id"], book, given)
    if wiped or any(given.values()):
        records.touch_job(call, job, task)
    return made


def _echo(given: Objects) -> Objects:
    """Return deleted objects in the form they would have been created in."""
    echo = {kind: [annotation_store.normal(kind, item) for item in given[kind]] for kind in given}
    for item, shape in zip(given["shapes"], echo["shapes"], strict=True):
        if "elements" not in item:
            shape.pop("elements")
    return echo


def _patch_job(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    body = call.only_json()
    action = _action(call)
    given = shapes.parse(body, ids=_IDS[action])
    made = apply(call, job, task, action, given)
    return Answer(200, annotation_store.whole(_echo(given) if action == "delete" else made))


def _put_job(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    given = shapes.parse(call.only_json(), ids=False)
    return Answer(200, annotation_store.whole(apply(call, job, task, "put", given)))


def _delete_job(call: Call, job_id: int) -> Answer:
    job, task = permissions.job(call, job_id)
    if annotation_store.clear(call.db, job["id"]):
        records.touch_job(call, job, task)
    return Answer(204)


def _get_task(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    return Answer(200, annotation_store.whole(merging.read_task(call.db, task)))


def apply_task(call: Call, task: Row, action: str, given: Objects) -> Objects:
    """Spread objects over a task's jobs by frame, and act on each."""
    made: list[tuple[Row, Objects]] = []
    for job in merging.task_jobs(call.db, task):
        part = merging.part_of(given, job)
        if action == "put" or any(part.values()):
            made.append((job, apply(call, job, task, action, part)))
    return merging.merged(made)


def _patch_task(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    body = call.only_json()
    action = _action(call)
    given = shapes.parse(body, ids=_IDS[action])
    made = apply_task(call, task, action, given)
    return Answer(200, annotation_store.whole(_echo(given) if action == "delete" else made))


def _put_task(call: Call, task_id: int) -> Answer:
    task = permissions.task(call, task_id)
    given = shapes.parse(call.only_json(), ids=False)
    return Answer(200, annotation_store.whole(apply_task(call, task, "put", given)))


def clear_task(call: Call, task: Row) -> None:
    """Remove every annotation of a task's annotation jobs."""
    for job in merging.task_jobs(call.db, task):
        if annotation_store.clear(call.db, job["id"]):
            records.touch_job(call, job, task)


def _delete_task(call: Call, task_id: int) -> Answer:
    clear_task(call, permissions.task(call, task_id))
    return Answer(204)


def _routes() -> tuple[Route, ...]:
    job, task = "/api/jobs/{job_id:int}/annotations", "/api/tasks/{task_id:int}/annotations"
    handlers: dict[str, tuple[Any, Any]] = {
        "GET": (_get_job, _get_task),
        "PATCH": (_patch_job, _patch_task),
        "PUT": (_put_job, _put_task),
        "DELETE": (_delete_job, _delete_task),
    }
    return tuple(
        Route(method, pattern, handler)
        for method, both in handlers.items()
        for pattern, handler in zip((job, task), both, strict=True)
    )


ROUTES = _routes()
