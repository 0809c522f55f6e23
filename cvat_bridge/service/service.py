"""The service: webhooks wake the loop, a poll reconciles, rounds run one after the other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect

from cvat_bridge.errors import BridgeError
from cvat_bridge.secrecy import without_secrets
from cvat_bridge.service.figures import LoopFigures, ProjectState
from cvat_bridge.service.guard import body_within, token_needed
from cvat_bridge.service.webhooks import SIGNATURE_HEADER, WEBHOOK_PATH, classify_delivery

log = structlog.get_logger("service")
MAX_BODY = 4 << 20  # a webhook is a few kilobytes; more is not from CVAT
BODY_SECONDS = 20.0
LONGEST_PAUSE = 3600.0
_ASKED_EVERY = 1.0  # seconds

Tick = Callable[[], "TickResult"]


@dataclass(frozen=True)
class TickResult:
    """What one look at the facts led to. acted: a round ran, so look again at once."""

    acted: bool
    reason: str


@dataclass
class Loop:
    """Looks at the facts when woken or when the poll is due, and acts on them.

    tick: one look; it may raise, which is recorded and tried again after a growing pause.
    asked: whether somebody wants a look now; asked every second. status: of the project's records,
    standing: what the figures tell of them. figures: where looks are counted, under the id of the
    project.
    """

    tick: Tick
    poll_seconds: float
    asked: Callable[[], bool] = lambda: False
    status: Callable[[], Mapping[str, Any]] = dict
    standing: Callable[[], ProjectState] = ProjectState
    reason: str = "starting"
    failures: int = 0
    last_look: float = 0.0
    figures: LoopFigures | None = None
    project: int = 0
    stage: str = ""  # of the step under way, "" between two
    done: int = 0
    total: int = 0

    def __post_init__(self) -> None:
        self._wake, self._stop = threading.Event(), threading.Event()
        self._told = (self.figures or LoopFigures(CollectorRegistry())).of(self.project)

    def wake(self) -> None:
        """Look soon."""
        self._wake.set()

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        self._wake.set()

    def run(self) -> None:
        """Look and act until stopped. The edge: no error of a look ends the service."""
        while not self._stop.is_set():
            self._wake.clear()
            try:
                outcome = self.tick()
            except Exception as error:
                self.failures += 1
                self.reason = without_secrets(f"{type(error).__name__}: {error}")
                log.exception("look failed", failures=self.failures)
            else:
                self.failures, self.reason = 0, outcome.reason
                if outcome.acted:
                    self._wake.set()
                else:
                    log.info("waiting", reason=outcome.reason)
            self.last_look = time.time()
            self.stage = ""
            self._told.looked(self.last_look, self.failures)
            self._rest(self._pause())

    def _rest(self, seconds: float) -> None:
        """Wait until woken, asked or due."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, _ASKED_EVERY)) or (not self.failures and self.asked()):
                return

    def report_progress(self, stage: str, done: int, total: int) -> None:
        """Take note of how far the step under way is."""
        self.stage, self.done, self.total = stage, done, total

    @property
    def progress(self) -> str:
        """How far the step under way is, in words."""
        return f"{self.stage} {self.done}/{self.total}" if self.stage else ""

    def measure(self) -> None:
        """Bring the figures of the records up to date; where they cannot be read, they stay."""
        try:
            self._told.standing(self.standing())
        except BridgeError as error:
            log.warning("the figures cannot be read", project=self.project, fault=str(error))

    def _pause(self) -> float:
        if self.failures:
            return float(min(LONGEST_PAUSE, self.poll_seconds * 2 ** (self.failures - 1)))
        return self.poll_seconds


def make_app(
    loops: Callable[[], Mapping[int, Loop]],
    *,
    registry: CollectorRegistry,
    secret: str,
    token: str,
) -> FastAPI:
    """Build the web side: the webhook receiver, health, figures and the status as JSON.

    loops: those of today, by project. secret: what CVAT signs its webhooks with. token: what a
    reader of the status sends.
    """
    app = FastAPI(title="cvat-bridge", docs_url=None, redoc_url=None, openapi_url=None)
    deliveries = Counter(
        "bridge_webhook_deliveries", "Webhook deliveries", ["verdict"], registry=registry
    )

    @app.post(WEBHOOK_PATH)
    async def receive(request: Request) -> Response:
        """Take a webhook of CVAT and wake a loop; 403 for a wrong signature, 400 for no JSON."""
        try:
            body = await asyncio.wait_for(body_within(request, MAX_BODY), BODY_SECONDS)
        except ValueError:
            return JSONResponse({"error": f"a body of at most {MAX_BODY} bytes is taken"}, 413)
        except asyncio.TimeoutError:
            late = f"the body did not come within {BODY_SECONDS:g} s"
            return JSONResponse({"error": late}, 408)
        except ClientDisconnect:
            return JSONResponse({"error": "the caller went away"}, 400)
        known = loops()
        delivery = classify_delivery(
            body, request.headers.get(SIGNATURE_HEADER), secret=secret, projects=known.keys()
        )
        deliveries.labels(delivery.verdict).inc()
        if delivery.verdict == "wake":
            for project, loop in known.items():
                if delivery.project in (None, project):
                    loop.wake()
        log.info("webhook", verdict=delivery.verdict, about=delivery.event, why=delivery.reason)
        # CVAT drops a delivery on 4xx and tries again on 5xx: a forged one must not come back.
        code = {"forged": 403, "malformed": 400}.get(delivery.verdict, 200)
        return JSONResponse({"verdict": delivery.verdict, "reason": delivery.reason}, code)

    @app.get("/healthz")
    def health() -> Mapping[str, Any]:
        """Return whether looks go well; the status says what went wrong.

        One project of several that fails does not make the service unhealthy: it delays no other.
        """
        failures = [loop.failures for loop in loops().values()]
        return {"ok": not failures or not all(failures), "failures": max(failures, default=0)}

    @app.get("/metrics")
    def metrics() -> Response:
        """Return the bridge's figures in Prometheus' text form."""
        for loop in loops().values():
            loop.measure()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status", dependencies=[token_needed(token)])
    def status_page(project: int | None = None) -> Mapping[str, Any]:
        """Return what `cvat-bridge status --json` reads in the records, and what the loop does now.

        Of the project that is asked for, of the only one, or `projects` with all of them by id.
        """
        known = loops()
        if project is not None and project not in known:
            raise HTTPException(404, f"project {project} is not worked on here")

        def one(number: int) -> Mapping[str, Any]:
            loop = known[number]
            return {**loop.status(), "loop": loop.reason, "progress": loop.progress}

        if project is not None or len(known) == 1:
            return one(next(iter(known)) if project is None else project)
        return {"projects": {str(number): one(number) for number in sorted(known)}}

    return app
