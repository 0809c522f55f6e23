"""Calling a function on a frame, for a person at work or for a batch."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from cvat_bridge.sandbox.accounts import permissions
from cvat_bridge.sandbox.annotations import annotation_store
from cvat_bridge.sandbox.annotations.annotation_store import Objects
from cvat_bridge.sandbox.frames import media
from cvat_bridge.sandbox.models import detection, functions, mapping, regions
from cvat_bridge.sandbox.models.functions import Function
from cvat_bridge.sandbox.models.mapping import Target
from cvat_bridge.sandbox.resources import jobs, labels
from cvat_bridge.sandbox.store.state import Row, State
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import invalid, refused

_STATE_KEY = b"sandbox-tracker-state"


def targets(state: State, function: Function, task: Row, asked: Any) -> dict[str, Target]:
    """Return the label mapping of a call: as asked, or by name."""
    own = labels.of_task(state.db, task)
    if asked:
        return mapping.given(state.db, asked, function.labels, own)
    return mapping.by_name(state.db, function.labels, own)


def _frame(state: State, task: Row, number: Any) -> bytes:
    data = state.db.get("data", task["data_id"])
    if data is None or not isinstance(number, int) or not 0 <= number < data["size"]:
        size = data["size"] if data else 0
        raise refused(
            f"Invalid frame '{number}'. The frame number should be in the [0, {size}] range"
        )
    return media.original(state, data, number)[0]


def _need(function: Function, body: Mapping[str, Any], name: str) -> Any:
    if body.get(name) is None:
        raise refused(
            f"`{function.id}` lambda function was called without mandatory argument: {name}"
        )
    return body[name]


def _encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def detect(
    state: State,
    function: Function,
    task: Row,
    frame: int,
    *,
    labels_to: Mapping[str, Target],
    threshold: Any = None,
    masks_to_polygons: bool = False,
    region: regions.Region | None = None,
) -> Objects:
    """Run a detector on a frame and give what it found as annotations without ids."""
    content = _frame(state, task, frame)
    if region is not None:
        content, _ = regions.crop(content, region)
    payload: dict[str, Any] = {"threshold": threshold} if threshold else {}
    payload["image"] = _encoded(content)
    answer = functions.invoke(state, function, payload)
    found = detection.convert(answer, labels_to, frame, masks_to_polygons=masks_to_polygons)
    if region is not None:
        found["shapes"] = [
            detection.moved(shape, region.left, region.top) for shape in found["shapes"]
        ]
    return found


def _interact(state: State, function: Function, task: Row, body: Mapping[str, Any]) -> Any:
    content = _frame(state, task, _need(function, body, "frame"))
    region = regions.parse(body["roi"]) if body.get("roi") is not None else None
    size = (0, 0)
    if region is not None:
        content, size = regions.crop(content, region)
    payload = {
        "image": _encoded(content),
        "pos_points": regions.shifted(_need(function, body, "pos_points"), region),
        "neg_points": regions.shifted(_need(function, body, "neg_points"), region),
        "obj_bbox": regions.shifted(body.get("obj_bbox"), region),
    }
    for name in ("text_prompts", "threshold"):
        if body.get(name):
            payload[name] = body[name]
    answer = functions.invoke(state, function, payload)
    return regions.restored(answer, region, size) if region is not None else answer


def _signed(function: Function, state: Any) -> str:
    text = json.dumps(state, separators=(",", ":"))
    key = hmac.new(_STATE_KEY, f"{function.id}:{text}".encode(), hashlib.sha256).hexdigest()
    return f"{text}:{key}"


def _unsigned(function: Function, signed: str | None) -> Any:
    if signed is None:
        return None
    text, _, _ = signed.rpartition(":")
    state = json.loads(text) if text else None
    if not text or not hmac.compare_digest(_signed(function, state), signed):
        raise refused("Invalid or expired tracker state")
    return state


def _track(state: State, function: Function, task: Row, body: Mapping[str, Any]) -> Any:
    old = body.get("states") or []
    given = body["shapes"] if body.get("shapes") is not None else [None] * len(old)
    legacy = function.shape_types is None
    payload = {
        "image": _encoded(_frame(state, task, _need(function, body, "frame"))),
        "shapes": [shape["points"] if legacy and shape else shape for shape in given],
        "states": [_unsigned(function, signed) for signed in old],
    }
    answer = functions.invoke(state, function, payload)
    if legacy and "shapes" in answer:
        answer["shapes"] = [
            None if points is None else {"type": "rectangle", "points": points}
            for points in answer["shapes"]
        ]
    answer["states"] = [_signed(function, one) for one in answer["states"]]
    return answer


def _unsaved(found: Objects) -> dict[str, Any]:
    """Return a detector's findings as CVAT answers them: stored nowhere, ids null."""
    shown = {
        kind: [annotation_store.normal(kind, item) for item in items]
        for kind, items in found.items()
    }
    for shape in shown["shapes"]:
        if not shape["elements"]:
            shape.pop("elements")
    return annotation_store.whole(shown)


def _scope(call: Call, function_id: str, body: Mapping[str, Any]) -> tuple[Row | None, Row]:
    """Return the job (if one is named, it decides) and the task of a call."""
    job_id, task_id = body.get("job"), body.get("task")
    for table, row_id in (("job", job_id), ("task", task_id)):
        if row_id is not None and call.db.get(table, row_id) is None:
            raise invalid(f"{table.capitalize()} matching query does not exist.")
    if job_id is not None:
        return permissions.job(call, job_id)
    if task_id is None:
        raise refused(f"`{function_id}` lambda function was run with wrong arguments ('task')")
    return None, permissions.task(call, task_id)


def _call(call: Call, function_id: str) -> Answer:
    body = call.fields()
    job, task = _scope(call, function_id, body)
    function = functions.get(call.state, function_id)
    labels_to = targets(call.state, function, task, body.get("mapping"))
    frame = body.get("frame")
    if job is not None and isinstance(frame, int) and frame not in jobs.frames(job):
        raise refused("The frame is outside the job range")
    if function.kind == "detector":
        region = regions.parse(body["roi"]) if body.get("roi") is not None else None
        found = detect(
            call.state,
            function,
            task,
            _need(function, body, "frame"),
            labels_to=labels_to,
            threshold=body.get("threshold"),
            masks_to_polygons=bool(body.get("conv_mask_to_poly")),
            region=region,
        )
        return Answer(200, _unsaved(found))
    if function.kind == "interactor":
        return Answer(200, _interact(call.state, function, task, body))
    if function.kind == "tracker":
        return Answer(200, _track(call.state, function, task, body))
    raise ValueError(f"the sandbox does not run functions of kind {function.kind}")


ROUTES = (Route("POST", "/api/lambda/functions/{function_id}", _call, atomic=False),)
