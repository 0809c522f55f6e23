"""The Nuclio handler shared by all engine folders: an event in, a response or an error out.

A worker handles one event at a time. The environment selects the model when the worker starts:

    BUNDLE                 folder of one bundle; or
    STORE and FUNCTION_ID  the store and the entry in it, read again before each call, so that a
                           promoted model serves without a new image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serverless.errors import FunctionError, ModelError, UnreadableImageError
from serverless.host.models import Model, answer_detector, answer_interactor, identity, load
from serverless.store.catalogue import Catalogue
from serverless.store.folders import entry_of
from serverless.store.functions import Entry
from serverless.wire.requests import (
    UNREADABLE_HEADER,
    detector_request,
    header_text,
    interactor_request,
    parse,
)

if TYPE_CHECKING:  # provided by Nuclio's wrapper
    from nuclio_sdk import Context, Event, Response

InitContext = Callable[["Context"], None]
Handler = Callable[["Context", "Event"], "Response"]


@dataclass
class FunctionWorker:
    """The model of one worker; `current` follows the store, if there is one."""

    entry: Entry
    model: Model
    catalogue: Catalogue | None
    load: Callable[[Entry], Model]

    def current(self) -> tuple[Entry, Model, str]:
        """Return the model to use, and why it is not the published one ("" if it is)."""
        if self.catalogue is None:
            return self.entry, self.model, ""
        try:
            published = self.catalogue.entry(self.entry.id)
            if published != self.entry:
                same = identity(published) == identity(self.entry)
                self.model = self.model if same else self.load(published)
                self.entry = published
        except FunctionError as error:
            return self.entry, self.model, str(error)
        return self.entry, self.model, ""


def make_handler(
    function_yaml: Path,
    *,
    environment: Mapping[str, str] | None = None,
    load: Callable[[Entry], Model] = load,
) -> tuple[InitContext, Handler]:
    """Return Nuclio's init_context and handler for the folder of this function.yaml.

    function_yaml: its name, kind and labels are those that CVAT knows, so they apply to the
    responses. environment: default os.environ, read by init_context. load: loads the model of an
    entry. init_context raises ModelError when the model cannot be loaded or lacks the labels: a
    worker without a model must not start.
    """

    def init_context(context: Context) -> None:
        values = os.environ if environment is None else environment
        context.user_data.worker = worker = _worker(function_yaml, values, load)
        context.logger.info_with(
            "model loaded", function=worker.entry.id, version=worker.entry.version
        )

    def handler(context: Context, event: Event) -> Response:
        worker: FunctionWorker = context.user_data.worker
        try:
            entry, model, fault = worker.current()
            if fault:
                context.logger.warn_with("the previous model keeps serving", fault=fault)
            content = _answer(entry, model, event)
        except UnreadableImageError as error:
            if worker.entry.kind != "detector":
                return _response(context, {"error": str(error)}, error.status)
            context.logger.warn_with("frame not read, answered as empty", fault=str(error))
            return _response(context, [], 200, {UNREADABLE_HEADER: header_text(str(error))})
        except FunctionError as error:
            if error.status >= 500:
                context.logger.error_with("call failed", status=error.status, fault=str(error))
            return _response(context, {"error": str(error)}, error.status)
        return _response(context, content, 200)

    return init_context, handler


def _answer(entry: Entry, model: Model, event: Event) -> object:
    body = parse(event.body)
    if entry.kind == "interactor":
        agent = _header(event.headers, "user-agent")
        return answer_interactor(entry, model, interactor_request(body), user_agent=agent)
    return answer_detector(entry, model, detector_request(body))


def _response(
    context: Context, content: object, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    # Nuclio would treat a bare list as a batch of responses, and a list as body by its repr.
    return context.Response(
        body=json.dumps(content, allow_nan=False),
        headers=dict(headers or {}),
        content_type="application/json",
        status_code=status,
    )


def _worker(
    function_yaml: Path, environment: Mapping[str, str], load: Callable[[Entry], Model]
) -> FunctionWorker:
    if store := environment.get("STORE"):
        catalogue = Catalogue(Path(store))
        entry = catalogue.entry(environment.get("FUNCTION_ID", ""))
        return FunctionWorker(entry, load(entry), catalogue, load)
    if not environment.get("BUNDLE"):
        raise ModelError("set BUNDLE, or STORE and FUNCTION_ID, in spec.env of function.yaml")
    entry = entry_of(function_yaml, Path(environment["BUNDLE"]))
    return FunctionWorker(entry, load(entry), None, load)


def _header(headers: Mapping[Any, Any] | None, header: str) -> str | None:
    for name, value in (headers or {}).items():
        text = name.decode() if isinstance(name, bytes) else str(name)
        if text.lower() == header:
            return value.decode() if isinstance(value, bytes) else str(value)
    return None
