"""The web application: starlette finds the route; the caller is signed in, the handler answers."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette import routing
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cvat_bridge.sandbox.accounts import auth
from cvat_bridge.sandbox.routes import ROUTES
from cvat_bridge.sandbox.store.state import State
from cvat_bridge.sandbox.web.call import Answer, Call, Route, Upload
from cvat_bridge.sandbox.web.errors import ApiError

log = logging.getLogger(__name__)


def _answered(answer: Answer, accepts_gzip: bool) -> Response:
    headers = dict(answer.headers)
    if answer.path is not None:
        response: Response = FileResponse(
            answer.path, answer.status, headers, media_type=answer.media_type
        )
    elif answer.content is not None:
        response = Response(answer.content, answer.status, headers, answer.media_type)
    elif answer.body is None:
        response = Response(b"", answer.status, headers)
    else:
        content = json.dumps(answer.body).encode()
        if answer.status == 201 and isinstance(answer.body, dict) and "url" in answer.body:
            headers["Location"] = answer.body["url"]
        if accepts_gzip and len(content) > 2000:
            content, headers["Content-Encoding"] = gzip.compress(content, 1), "gzip"
        response = Response(content, answer.status, headers, "application/vnd.cvat+json")
    for name, value in answer.cookies.items():
        response.set_cookie(name, value, path="/")
    return response


async def _read(request: Request, state: State) -> Call:
    form: dict[str, str] | None = None
    files: list[Upload] = []
    content = b""
    kind = request.headers.get("content-type", "")
    if kind.startswith(("multipart/form-data", "application/x-www-form-urlencoded")):
        form = {}
        async with request.form(max_files=100_000, max_fields=100_000) as parts:
            for name, value in parts.multi_items():
                if isinstance(value, UploadFile):
                    files.append(Upload(name, value.filename or "", await value.read()))
                else:
                    form[name] = value
    else:
        content = await request.body()
    return Call(
        method=request.method,
        path=request.url.path,
        query=request.query_params,
        headers=request.headers,
        content=content,
        form=form,
        files=tuple(files),
        base_url=f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}",
        state=state,
    )


def _only_json(headers: Mapping[str, str]) -> None:
    if headers.get("accept", "").startswith("text/csv"):
        raise ApiError(406, {"detail": "Could not satisfy the request Accept header."})


def _refused(error: ApiError) -> Answer:
    headers: Mapping[str, str] = {"WWW-Authenticate": "Token"} if error.status == 401 else {}
    return Answer(error.status, error.body, headers=headers)


def _handle(route: Route, call: Call, values: Mapping[str, Any]) -> Answer:
    """Run one request to its answer; what was to follow runs after the commit."""
    try:
        _only_json(call.headers)
        if not route.public:
            auth.sign_in(call)
        if route.atomic and call.method not in {"GET", "HEAD"}:
            with call.db.transaction():
                answer: Answer = route.handler(call, **values)
        else:
            answer = route.handler(call, **values)
    except ApiError as error:
        return _refused(error)
    for step in call.after:
        step()
    return answer


def _endpoint(route: Route, state: State) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        call = await _read(request, state)
        try:
            answer = await run_in_threadpool(_handle, route, call, request.path_params)
        except Exception:  # the edge: CVAT answers a fault of its own with an HTML page
            log.exception("%s %s failed", call.method, call.path)
            page = b"<!doctype html><title>Server Error (500)</title><h1>Server Error (500)</h1>"
            answer = Answer(500, content=page, media_type="text/html")
        return _answered(answer, "gzip" in request.headers.get("accept-encoding", ""))

    return endpoint


async def _no_route(request: Request, error: Exception) -> Response:
    """Answer a path or a method that no route has, in CVAT's words."""
    try:
        _only_json(request.headers)
    except ApiError as unread:
        return _answered(_refused(unread), accepts_gzip=False)
    missing = isinstance(error, HTTPException) and error.status_code == 404
    text = "Not found." if missing else f'Method "{request.method}" not allowed.'
    return _answered(Answer(404 if missing else 405, {"detail": text}), accepts_gzip=False)


def build(state: State) -> Starlette:
    """Return the application over this state; each path is answered with and without a last /."""
    fixed_first = sorted(ROUTES, key=lambda route: route.pattern.count("{"))
    routes = [
        routing.Route(path, _endpoint(route, state), methods=[route.method])
        for route in fixed_first
        for path in (route.pattern, f"{route.pattern}/")
    ]
    app = Starlette(routes=routes, exception_handlers={404: _no_route, 405: _no_route})
    app.router.redirect_slashes = False
    return app
