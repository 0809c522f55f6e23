"""The models a function host offers, as CVAT reads them from Nuclio's dashboard."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from cvat_bridge.sandbox.store.state import State
from cvat_bridge.sandbox.web.call import Answer, Call, Route
from cvat_bridge.sandbox.web.errors import ApiError

log = logging.getLogger(__name__)
KINDS = ("detector", "interactor", "reid", "tracker")
_TIMEOUT_S = 120
_HEADERS = {
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": f"{_TIMEOUT_S}s",
}


class MetadataError(ValueError):
    """A function that the list leaves out."""


@dataclass(frozen=True)
class Function:
    """One function as its metadata describes it."""

    id: str
    kind: str
    labels: tuple[dict[str, Any], ...]
    description: str
    name: str
    version: int
    prompts: dict[str, Any]
    shape_types: tuple[str, ...] | None

    def view(self) -> dict[str, Any]:
        """Return the function as /api/lambda/functions shows it."""
        shown: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "labels_v2": list(self.labels),
            "description": self.description,
            "name": self.name,
            "version": self.version,
        }
        if self.kind == "interactor":
            shown.update(self.prompts)
        if self.kind == "tracker":
            shown["supported_shape_types"] = list(self.shape_types or ("rectangle",))
        return shown


def _labels(spec: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for item in spec:
        attributes = [
            {name: attribute[name] for name in ("name", "input_type", "values")}
            for attribute in item.get("attributes", ())
        ]
        label = {
            "name": item["name"],
            "type": item.get("type", "any"),
            "attributes": attributes,
        }
        if label["type"] == "skeleton":
            label["sublabels"], label["svg"] = _labels(item["sublabels"]), item["svg"]
        if len({attribute["name"] for attribute in attributes}) < len(attributes):
            raise MetadataError(f"label {item['name']} has an attribute twice")
        found.append(label)
    if len({label["name"] for label in found}) < len(found):
        raise MetadataError("a label is there twice")
    return found


def parse(item: dict[str, Any]) -> Function:
    """Read a dashboard's function; MetadataError is contained, other faults are not, as in CVAT."""
    notes = item["metadata"]["annotations"]
    kind = notes.get("type")
    if kind not in KINDS:
        raise MetadataError(f"{item['metadata']['name']} has unknown type {kind!r}")
    types = notes.get("supported_shape_types")
    shape_types = tuple(t.strip() for t in types.split(",") if t.strip()) if types else None
    if types is not None and not shape_types:
        raise MetadataError(f"{item['metadata']['name']} has no supported shape types")
    _ = item["status"]
    return Function(
        id=item["metadata"]["name"],
        kind=kind,
        labels=tuple(_labels(json.loads(notes.get("spec") or "[]"))),
        description=item["spec"]["description"],
        name=notes.get("name", item["metadata"]["name"]),
        version=int(notes.get("version", "1")),
        prompts={
            "min_pos_points": int(notes.get("min_pos_points", 1)),
            "min_neg_points": int(notes.get("min_neg_points", -1)),
            "startswith_box": bool(notes.get("startswith_box", "")),
            "startswith_box_optional": bool(notes.get("startswith_box_optional", "")),
            "help_message": notes.get("help_message", ""),
            "animated_gif": notes.get("animated_gif", ""),
        },
        shape_types=shape_types,
    )


@cache
def _client() -> httpx.Client:
    return httpx.Client(timeout=_TIMEOUT_S, follow_redirects=True)


def _ask(state: State, method: str, path: str, **more: Any) -> Any:
    """Ask the function host; ApiError with the status CVAT would give, and its text."""
    if not state.function_host:
        raise ApiError(503, "the sandbox was started without a function host")
    headers = {**_HEADERS, **more.pop("headers", {})}
    try:
        response = _client().request(
            method, state.function_host.rstrip("/") + path, headers=headers, **more
        )
        response.raise_for_status()
        return response.json()
    except httpx.HTTPStatusError as error:
        raise ApiError(error.response.status_code, str(error)) from error
    except httpx.TimeoutException as error:
        raise ApiError(504, str(error)) from error
    except httpx.TransportError as error:
        raise ApiError(503, str(error)) from error
    except (httpx.HTTPError, ValueError) as error:
        raise ApiError(500, str(error)) from error


def get(state: State, function_id: str) -> Function:
    """Return one function, asked of the host."""
    return parse(_ask(state, "GET", f"/api/functions/{function_id}"))


def invoke(state: State, function: Function, payload: dict[str, Any]) -> Any:
    """Run a function on the host and give its JSON answer."""
    headers = {"x-nuclio-function-name": function.id, "x-nuclio-path": "/"}
    return _ask(state, "POST", "/api/function_invocations", json=payload, headers=headers)


def _list(call: Call) -> Answer:
    shown = []
    for item in _ask(call.state, "GET", "/api/functions").values():
        try:
            shown.append(parse(item).view())
        except MetadataError:
            log.exception("a function was left out of the list")
    return Answer(200, shown)


ROUTES = (
    Route("GET", "/api/lambda/functions", _list),
    Route(
        "GET",
        "/api/lambda/functions/{function_id}",
        lambda call, function_id: Answer(200, get(call.state, function_id).view()),
    ),
)
