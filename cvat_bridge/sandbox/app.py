"""The web application: finds the route, signs the caller in, runs the handler, answers."""

from __future__ import annotations

import gzip
import json
import logging
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import FileResponse, Response
from starlette.routing import Mount

from cvat_bridge.sandbox.accounts import auth
from cvat_bridge.sandbox.routes import ROUTES
from cvat_bridge.sandbox.web.call import Answer, Call, Route, Upload
from cvat_bridge.sandbox.web.errors import ApiError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from cvat_bridge.sandbox.store.state import State

log = logging.getLogger(__name__)
_PARAMETER = re.compile(r"\{(\w+)(:int)?\}")


def _compiled(pattern: str) -> re.Pattern[str]:
    def group(found: re.Match[str]) -> str:
        return rf"(?P<{found[1]}>\d+)" if found[2] else rf"(?P<{found[1]}>[^/]+)"

    return re.compile(_PARAMETER.sub(group, pattern) + r"/?\Z")


class Router:
    """Finds the route of a method and path."""

    def __init__(self, routes: Sequence[Route]) -> None:
        by_pattern: dict[str, dict[str, Route]] = defaultdict(dict)
        for route in routes:
            by_pattern[route.pattern][route.method] = route
        literal_first = sorted(by_pattern, key=lambda pattern: pattern.count("{"))
        self._table = [(_compiled(pattern), by_pattern[pattern]) for pattern in literal_first]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, Any]]:
        """Give the route and its path values; ApiError 404 or 405."""
        for regex, methods in self._table:
            found = regex.match(path)
            if not found:
                continue
            route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
            if route is None:
                raise ApiError(405, {"detail": f'Method "{method}" not allowed.'})
            values = {
                name: int(text) if f"{{{name}:int}}" in route.pattern else text
                for name, text in found.groupdict().items()
            }
            return route, values
        raise ApiError(404, {"detail": "Not found."})


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


def _handle(router: Router, call: Call) -> Answer:
    """Run one request to its answer; what was to follow runs after the commit."""
    try:
        if call.headers.get("accept", "").startswith("text/csv"):
            raise ApiError(406, {"detail": "Could not satisfy the request Accept header."})  # noqa: TRY301
        route, values = router.find(call.method, call.path)
        if not route.public:
            auth.sign_in(call)
        if route.atomic and call.method not in {"GET", "HEAD"}:
            with call.db.transaction():
                answer: Answer = route.handler(call, **values)
        else:
            answer = route.handler(call, **values)
    except ApiError as error:
        headers: Mapping[str, str] = {"WWW-Authenticate": "Token"} if error.status == 401 else {}
        return Answer(error.status, error.body, headers=headers)
    for step in call.after:
        step()
    return answer


def build(state: State) -> Starlette:
    """Give the application over this state."""
    router = Router(ROUTES)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        from starlette.requests import Request

        request = Request(scope, receive)
        call = await _read(request, state)
        try:
            answer = await run_in_threadpool(_handle, router, call)
        except Exception:  # the edge: CVAT answers a fault of its own with an HTML page
            log.exception("%s %s failed", call.method, call.path)
            page = b"<!doctype html><title>Server Error (500)</title><h1>Server Error (500)</h1>"
            answer = Answer(500, content=page, media_type="text/html")
        gzipped = "gzip" in request.headers.get("accept-encoding", "")
        await _answered(answer, gzipped)(scope, receive, send)

    return Starlette(routes=[Mount("/", app=serve)])
