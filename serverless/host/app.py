"""The function host as an ASGI application: Nuclio's three routes, health, status, figures."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serverless.errors import (
    BadRequestError,
    FunctionError,
    UnknownFunctionError,
    UnreadableImageError,
)
from serverless.host.calls import Calls
from serverless.host.directory import Directory
from serverless.host.figures import Figures
from serverless.host.models import Model, load
from serverless.host.pool import Pool
from serverless.host.upstream import Upstream
from serverless.store.catalogue import Catalogue
from serverless.store.functions import Entry
from serverless.wire.requests import UNREADABLE_HEADER, header_text

_log = structlog.get_logger("serverless.host.server")
# Statuses that tell of a model that cannot answer, and not of the caller or of a busy moment.
_MODEL_FAULTS = (500, 504)


@dataclass(frozen=True)
class HostSettings:
    """How a host serves a store.

    port: shown in CVAT's list. upstream: URL of a Nuclio dashboard behind this one, or None.
    memory_bytes: bound on the weights held. call_seconds: limit of one call. max_batch: images
    of one run of a model. max_waiting: calls that may wait for one model. max_body_bytes: of one
    request; base64 adds a third to an image. builtin: functions offered besides the store's,
    unless it holds one of the same id.
    """

    port: int = 8070
    upstream: str | None = None
    memory_bytes: int = 2 << 30
    call_seconds: float = 60.0
    max_batch: int = 8
    max_waiting: int = 64
    max_body_bytes: int = 512 << 20
    threads: int = 8
    builtin: tuple[Entry, ...] = ()
    ready: Callable[[], None] = lambda: None


def create_app(
    store: Path, settings: HostSettings, *, load: Callable[[Entry], Model] = load
) -> Starlette:
    """Return the application that serves this store; it begins with no model in memory.

    load: how an entry becomes a model, run in a thread.
    """
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="function")
    figures = Figures()
    client = httpx.AsyncClient(trust_env=False)
    upstream = Upstream(settings.upstream.rstrip("/"), client) if settings.upstream else None

    def loaded(entry: Entry, fault: str) -> None:
        figures.loads.labels(entry.id, "failed" if fault else "loaded").inc()
        if fault:
            _log.error("model not loaded", function=entry.id, version=entry.version, fault=fault)
        else:
            _log.info("model loaded", function=entry.id, version=entry.version)

    pool = Pool(load, threads, settings.memory_bytes, loaded)
    calls = Calls(
        threads,
        max_batch=settings.max_batch,
        max_waiting=settings.max_waiting,
        seconds=settings.call_seconds,
        ran=lambda function_id, size: figures.batch.labels(function_id).observe(size),
        maskless=lambda function_id, count: figures.maskless.labels(function_id).inc(count),
    )

    directory = Directory(Catalogue(store, settings.builtin), pool, upstream, settings.port)

    async def list_functions(request: Request) -> Response:
        """List every function, those of the Nuclio behind included, as Nuclio's dashboard does."""
        shown = await directory.functions(request.headers)
        for name, why in shown.held_back.items():
            _log.warning("held back", function=name, fault="; ".join(why))
        return JSONResponse(shown.functions)

    async def one_function(request: Request) -> Response:
        """Describe one function; 404 when there is none of that id."""
        function_id = request.path_params["function_id"]
        return JSONResponse(await directory.function(function_id, request.headers))

    async def invoke(request: Request) -> Response:
        """Answer one call of the function that the header x-nuclio-function-name names."""
        function_id = request.headers.get("x-nuclio-function-name", "")
        if not function_id:
            raise BadRequestError("header x-nuclio-function-name is missing")
        body = await _body(request, settings.max_body_bytes)
        seconds = _seconds(request.headers, settings.call_seconds)
        began = time.perf_counter()
        entry: Entry | None = None
        status = 500
        try:
            try:
                entry = directory.entry(function_id)
            except UnknownFunctionError:
                if upstream is None:
                    raise
                reply = await upstream.invoke(body, request.headers, seconds=seconds)
                status = reply.status
                return Response(reply.body, reply.status, media_type=reply.content_type)
            agent = request.headers.get("user-agent")
            content = await calls.answer(pool, entry, body, user_agent=agent, seconds=seconds)
        except UnreadableImageError as error:
            status = error.status
            if entry is None or entry.kind != "detector":
                raise
            status = 200
            figures.unreadable.labels(entry.id).inc()
            _log.warning("frame not read, answered as empty", function=entry.id, fault=str(error))
            directory.note_unreadable(entry, str(error))
            return Response(
                b"[]",
                media_type="application/json",
                headers={UNREADABLE_HEADER: header_text(str(error))},
            )
        except FunctionError as error:
            status = error.status
            if entry is not None and status in _MODEL_FAULTS:
                directory.note(entry, str(error))
            raise
        else:
            status = 200
            directory.note(entry, "")
            return Response(content, media_type="application/json")
        finally:
            # A stranger's name must not become a label: anybody could make any number of them.
            name = entry.id if entry is not None else "other"
            figures.calls.labels(name, str(status)).inc()
            figures.seconds.labels(name).observe(time.perf_counter() - began)

    async def health(_request: Request) -> Response:
        """Answer 200 while the store can be read."""
        directory.catalogue.read()
        return JSONResponse({"status": "ok"})

    async def status(request: Request) -> Response:
        """Say of each function whether its model can answer, and if not, why."""
        return JSONResponse(await directory.status(request.headers))

    async def metrics(_request: Request) -> Response:
        """Give the host's figures in Prometheus' text form."""
        figures.models.set(pool.count)
        figures.held_bytes.set(pool.held_bytes)
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        settings.ready()
        yield
        await client.aclose()
        threads.shutdown(wait=False, cancel_futures=True)

    return Starlette(
        routes=[
            Route("/api/functions", list_functions),
            Route("/api/functions/{function_id}", one_function),
            Route("/api/function_invocations", invoke, methods=["POST"]),
            Route("/healthz", health),
            Route("/status", status),
            Route("/metrics", metrics),
        ],
        exception_handlers={FunctionError: _error, Exception: _crash},
        lifespan=lifespan,
    )


async def _error(_request: Request, error: Exception) -> Response:
    known = error if isinstance(error, FunctionError) else FunctionError(str(error))
    message = "Function not found" if isinstance(known, UnknownFunctionError) else str(known)
    if known.status >= 500:
        _log.error("call failed", status=known.status, fault=message)
    return JSONResponse({"error": message}, known.status)


async def _crash(_request: Request, error: Exception) -> Response:
    _log.error("host failed", exc_info=error)
    return JSONResponse({"error": f"{type(error).__name__} in the function host; see its log"}, 500)


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise BadRequestError(f"the body is larger than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _seconds(headers: Mapping[str, str], limit: float) -> float:
    """Return the caller's own limit where it is the shorter one: nobody reads a later answer."""
    asked = re.fullmatch(r"(\d+(?:\.\d+)?)s", headers.get("x-nuclio-invoke-timeout", ""))
    return min(limit, float(asked[1])) if asked and float(asked[1]) > 0 else limit
