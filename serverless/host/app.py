"""The function host as an ASGI application: Nuclio's three routes, health, status, figures."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
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
    StoreError,
    UnknownFunctionError,
    UnreadableImageError,
)
from serverless.host.calls import Calls
from serverless.host.directory import Directory
from serverless.host.figures import Figures
from serverless.host.following import Follower
from serverless.host.intake import Bodies, Pixels
from serverless.host.models import Model
from serverless.host.models import load as load_here
from serverless.host.pool import Pool
from serverless.host.runners import Runner, Within
from serverless.host.upstream import Upstream
from serverless.host.workers.fleet import Fleet
from serverless.host.workers.worker import LANES, Limits
from serverless.store.catalogue import Catalogue
from serverless.store.following import Following
from serverless.store.functions import Entry
from serverless.wire.requests import UNREADABLE_HEADER, header_text
from trainer.blobs.store import BlobStore

_log = structlog.get_logger("serverless.host.server")
# Statuses that tell of a model that cannot answer, and not of the caller or of a busy moment.
_MODEL_FAULTS = (500, 504)
_LOADS = 16  # at a time: one that hangs must not keep the others waiting
_HEALTH_SECONDS = 5.0
ISOLATIONS = ("model", "shared", "none")


@dataclass(frozen=True)
class HostSettings:
    """How a host serves a store.

    port: shown in CVAT's list. upstream: URL of a Nuclio dashboard behind this one, or None.
    isolation: "model" gives each model a process of its own, "shared" one for all of them, "none"
    loads them in the host's own process, which a model can then take with it. groups: with
    "model", name → functions, * for any letters, that share a process; the first that fits counts.
    memory_bytes: of all models together, as the system counts it; with "none", of their files.
    model_memory_bytes: of one process of models, which is ended when it takes more; None for as
    much as all may take. call_seconds: limit of one call; the process of a model that takes longer
    is ended. load_seconds: limit of loading one. model_threads: of one run of a model, None for
    one a core. max_batch: images of one run of a model. max_waiting: calls that may wait for one
    model. max_body_bytes: of one request; base64 adds a third to an image. bodies_bytes: of all
    requests being read or answered. pixels: of all images being decoded or answered. builtin:
    functions offered besides the store's, unless it holds one of the same id. shared: address of a
    store of artefacts of which the folder is the copy, looked at every follow_seconds.
    """

    port: int = 8070
    upstream: str | None = None
    isolation: str = "model"
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory_bytes: int = 4 << 30
    model_memory_bytes: int | None = None
    call_seconds: float = 60.0
    load_seconds: float = 120.0
    model_threads: int | None = None
    max_batch: int = 8
    max_waiting: int = 64
    max_body_bytes: int = 512 << 20
    bodies_bytes: int = 1 << 30
    pixels: int = 320_000_000
    threads: int = 8
    builtin: tuple[Entry, ...] = ()
    shared: str | None = None
    follow_seconds: float = 2.0
    ready: Callable[[], None] = lambda: None


def create_app(
    store: Path, settings: HostSettings, *, load: Callable[[Entry], Model] | None = None
) -> Starlette:
    """Return the application that serves this store; it begins with no model in memory.

    load: how an entry becomes a model in this process, in a thread; None loads it as
    settings.isolation says.
    """
    threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="function")
    loading = ThreadPoolExecutor(_LOADS, thread_name_prefix="load")
    figures = Figures()
    client = httpx.AsyncClient(trust_env=False)
    upstream = Upstream(settings.upstream.rstrip("/"), client) if settings.upstream else None
    fleet = None if load or settings.isolation == "none" else _fleet(settings, figures)

    def loaded(entry: Entry, fault: str) -> None:
        figures.loads.labels(entry.id, "failed" if fault else "loaded").inc()
        if fault:
            _log.error("model not loaded", function=entry.id, version=entry.version, fault=fault)
        else:
            _log.info("model loaded", function=entry.id, version=entry.version)

    def runner(entry: Entry) -> Runner:
        return fleet.load(entry) if fleet else Within((load or load_here)(entry))

    pool = Pool(runner, loading, settings.memory_bytes, _LOADS if fleet else 1, loaded)
    calls = Calls(
        threads,
        Pixels(settings.pixels),
        max_batch=settings.max_batch,
        max_waiting=settings.max_waiting,
        at_once=LANES if fleet else settings.threads,
        batch_seconds=None if fleet else settings.call_seconds,
        ran=lambda function_id, size: figures.batch.labels(function_id).observe(size),
        maskless=lambda function_id, count: figures.maskless.labels(function_id).inc(count),
    )
    bodies = Bodies(settings.max_body_bytes, settings.bodies_bytes)

    directory = Directory(Catalogue(store, settings.builtin), pool, upstream, settings.port)

    def load_changed() -> None:
        for entry in directory.catalogue.read().entries:
            pool.prefetch(entry, swap_only=True)

    follower = _follower(store, settings, load_changed)

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
        seconds = _seconds(request.headers, settings.call_seconds)
        began = time.perf_counter()
        entry: Entry | None = None
        status = 500
        try:
            async with bodies.read(request) as body:
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
            pool.keep_within()
            # A stranger's name must not become a label: anybody could make any number of them.
            name = entry.id if entry is not None else "other"
            figures.calls.labels(name, str(status)).inc()
            figures.seconds.labels(name).observe(time.perf_counter() - began)

    async def health(_request: Request) -> Response:
        """Answer 200 while the store can be read and calls can be answered, else 503."""
        fault = ""
        try:
            await asyncio.wait_for(asyncio.wrap_future(threads.submit(int)), _HEALTH_SECONDS)
            directory.catalogue.read()
        except asyncio.TimeoutError:
            fault = "every thread is taken"
        except StoreError as error:
            # Whoever asks may be a stranger, who need not know where the store lies.
            _log.error("unhealthy", fault=str(error))
            fault = "the store cannot be read"
        if fleet and fleet.fault:
            _log.error("unhealthy", fault=fleet.fault)
            fault = fault or "no process can be started for a model"
        if fleet and fleet.unwatched:
            _log.error("unhealthy", fault=fleet.unwatched)
            fault = fault or "the limits of the models' processes cannot be looked after"
        if fault:
            return JSONResponse({"status": "failing", "fault": fault}, 503)
        return JSONResponse({"status": "ok"})

    async def status(request: Request) -> Response:
        """Say of each function whether its model can answer, and if not, why."""
        found = await directory.status(request.headers)
        return JSONResponse(found | {"shared": follower.status() if follower else None})

    async def metrics(_request: Request) -> Response:
        """Give the host's figures in Prometheus' text form."""
        figures.models.set(pool.count)
        figures.held_bytes.set(pool.held_bytes)
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        if follower:
            await follower.begin()
        settings.ready()
        yield
        if follower:
            await follower.end()
        await client.aclose()
        if fleet:
            fleet.close()
        for executor in (threads, loading):
            executor.shutdown(wait=False, cancel_futures=True)

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


def _follower(store: Path, settings: HostSettings, changed: Callable[[], None]) -> Follower | None:
    if settings.shared is None:
        return None
    blobs = BlobStore(settings.shared)
    following = Following(blobs, store, store / ".bundles", sweeps=True)
    return Follower(following, settings.follow_seconds, changed)


def _fleet(settings: HostSettings, figures: Figures) -> Fleet:
    def failed(function_id: str, why: str) -> None:
        figures.faults.labels(function_id).inc()
        _log.error("a model's process has ended", function=function_id, fault=why)

    limits = Limits(
        memory_bytes=settings.model_memory_bytes or settings.memory_bytes,
        call_seconds=settings.call_seconds,
        load_seconds=settings.load_seconds,
        threads=settings.model_threads,
    )
    groups = {"all": ("*",)} if settings.isolation == "shared" else settings.groups
    return Fleet(limits, groups=groups, failed=failed)


def _seconds(headers: Mapping[str, str], limit: float) -> float:
    """Return the caller's own limit where it is the shorter one: nobody reads a later answer."""
    asked = re.fullmatch(r"(\d+(?:\.\d+)?)s", headers.get("x-nuclio-invoke-timeout", ""))
    return min(limit, float(asked[1])) if asked and float(asked[1]) > 0 else limit
