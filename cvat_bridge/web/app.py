"""The page as a web application of its own, mounted on that of the service."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

from cvat_bridge.config import Config, Secrets
from cvat_bridge.errors import BridgeError, ConfigError, GatewayError, NothingToDoError
from cvat_bridge.home import Home
from cvat_bridge.secrecy import without_secrets
from cvat_bridge.service.service import Loop
from cvat_bridge.web.access.guard import HEADERS
from cvat_bridge.web.access.sessions import Sessions
from cvat_bridge.web.page import Page, RefusedError, SignInNeededError, open_page
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.blindspots import blind_routes
from cvat_bridge.web.routes.insight.groups import groups_routes
from cvat_bridge.web.routes.insight.mistakes import mistakes_routes
from cvat_bridge.web.routes.insight.savings import savings_routes
from cvat_bridge.web.routes.json_api import api_routes
from cvat_bridge.web.routes.learning.api import learning_api
from cvat_bridge.web.routes.learning.models import model_routes
from cvat_bridge.web.routes.learning.run import run_routes
from cvat_bridge.web.routes.learning.train import train_routes
from cvat_bridge.web.routes.learning.upload import upload_routes
from cvat_bridge.web.routes.learning.work import work_routes
from cvat_bridge.web.routes.now import now_routes
from cvat_bridge.web.routes.pictures import picture_routes
from cvat_bridge.web.routes.projects import project_routes
from cvat_bridge.web.routes.similar import similar_routes
from cvat_bridge.web.screens.learning.progress import FitReader
from cvat_bridge.web.sign_in import path_of, signing_routes, to_sign_in
from cvat_bridge.web.sites import Sites
from trainer.errors import TrainerError

log = structlog.get_logger("page")
SIGN_IN, API = "/signin", "/api/"


def add_page(web: FastAPI, page: Page) -> None:
    """Serve the page beside the service's own routes, below the page's prefix."""
    made = make_page(page)
    if page.prefix:

        @web.get(page.prefix, include_in_schema=False)
        def with_slash() -> Response:
            """Lead from the prefix without a slash to the page."""
            return Response(status_code=308, headers={"Location": page.at("/")})

    web.mount(page.prefix, made)


@contextmanager
def opened(
    config: Config,
    secrets: Secrets,
    configs: Callable[[], Mapping[int, Config]],
    loops: Callable[[], Mapping[int, Loop]],
) -> Iterator[Page]:
    """Open the sessions and the projects of the page.

    config: what all projects share. configs, loops: of each project, as they are when asked.
    Raises LedgerError.
    """
    home = Home.of(config)
    sessions = Sessions(
        home.sessions, idle_seconds=config.page.session_hours * 3600, clock=time.time
    )
    sites = Sites(configs, loops, secrets)
    # Two services of one host have two cookies: a browser does not tell ports apart.
    cookie = f"learning_{hashlib.sha256(str(home.root).encode()).hexdigest()[:8]}"
    page = open_page(config, sites, sessions, cookie)
    threading.Thread(target=_begin, args=[page], name="page", daemon=True).start()
    try:
        yield page
    finally:
        page.close()
        sites.close()
        sessions.close()


def _begin(page: Page) -> None:
    """Go on with what an earlier process left undone; open what takes seconds at first use."""
    for site in page.sites.all():
        try:
            page.task_queue(site)
            page.work_queue(site)
            page.desk(site)
            site.parts.registry.champion(site.parts.key)
        except (BridgeError, TrainerError) as error:
            log.warning("page", project=site.id, error=str(error))


def make_page(page: Page) -> FastAPI:
    """Build the application: guarded, with its screens, JSON routes and OpenAPI."""
    app = FastAPI(
        title="The loop's page",
        description=(
            "Everything that a screen shows, as JSON. Sign in as on the page, or send "
            "`Authorization: Bearer` with a personal access token of CVAT."
        ),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.middleware("http")(_guarded(page))
    app.include_router(signing_routes(page))
    app.include_router(project_routes(page))
    app.include_router(now_routes(page))
    app.include_router(blind_routes(page))
    app.include_router(similar_routes(page))
    app.include_router(savings_routes(page))
    app.include_router(mistakes_routes(page))
    app.include_router(groups_routes(page))
    app.include_router(model_routes(page))
    app.include_router(upload_routes(page))
    app.include_router(run_routes(page))
    reader = FitReader()
    app.include_router(work_routes(page, reader))
    app.include_router(train_routes(page, reader))
    app.include_router(picture_routes(page))
    app.include_router(api_routes(page))
    app.include_router(learning_api(page))
    app.mount("/static", StaticFiles(packages=[("cvat_bridge.web", "static")]), "static")
    _handle_errors(app, page)
    return app


def _guarded(
    page: Page,
) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    async def guarded(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = page.guard.examine(
            request.method, request.headers, largest=page.largest_body(request.url.path)
        )
        if refused is not None:
            log.warning("refused", path=request.url.path, why=refused.words)
            answer: Response = PlainTextResponse(refused.words, refused.status)
        else:
            answer = await call(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    return guarded


def _handle_errors(app: FastAPI, page: Page) -> None:
    """Turn errors into pages in words: what is wrong, and what to do."""

    def answer(request: Request, status: int, words: str, mend: str = "") -> Response:
        words = without_secrets(words)
        if wants_json(page, request):
            return JSONResponse({"error": words, "mend": mend}, status)
        template = "part_error.html" if request.headers.get("hx-request") else "error.html"
        return render(page, request, template, status=status, words=words, mend=mend)

    @app.exception_handler(SignInNeededError)
    def sign_in(request: Request, error: SignInNeededError) -> Response:
        if wants_json(page, request):
            return JSONResponse({"error": str(error), "mend": "sign in, or send a token"}, 401)
        if request.headers.get("hx-request"):
            back = page.own_path(path_of(request.headers.get("hx-current-url", "")))
            where = f"{page.at(SIGN_IN)}?{urlencode({'next': back, 'why': error.reason})}"
            return Response(status_code=401, headers={"HX-Redirect": where})
        return to_sign_in(page, request, error.reason)

    @app.exception_handler(RefusedError)
    def refused(request: Request, error: RefusedError) -> Response:
        return answer(request, error.status, error.words, error.mend)

    @app.exception_handler(NothingToDoError)
    def nothing(request: Request, error: NothingToDoError) -> Response:
        return answer(request, 409, f"{str(error)[:1].upper()}{str(error)[1:]}.")

    @app.exception_handler(ConfigError)
    def cannot(request: Request, error: ConfigError) -> Response:
        return answer(request, 422, f"Nothing was done. {' '.join(error.faults)}.")

    @app.exception_handler(GatewayError)
    def cvat(request: Request, error: GatewayError) -> Response:
        log.warning("CVAT", path=request.url.path, error=str(error))
        return answer(request, 503, f"CVAT did not do this: {error.detail}.", error.advice)

    @app.exception_handler(BridgeError)
    @app.exception_handler(TrainerError)
    def ours(request: Request, error: Exception) -> Response:
        log.warning("page", path=request.url.path, error=str(error))
        return answer(request, 500, str(error), "`cvat-bridge doctor` looks at what it stands on.")

    @app.exception_handler(RequestValidationError)
    def wrong(request: Request, error: RequestValidationError) -> Response:
        places = ", ".join(str(item["loc"][-1]) for item in error.errors())
        return answer(request, 422, f"This address or form is not complete: {places}.")

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> Response:
        words = "There is no such page." if error.status_code == 404 else str(error.detail)
        return answer(request, error.status_code, words)

    @app.exception_handler(Exception)
    def defect(request: Request, error: Exception) -> Response:
        log.error("page", path=request.url.path, exc_info=error)
        return answer(
            request,
            500,
            f"Something went wrong here: {type(error).__name__}.",
            "The service's log has it in full.",
        )


def wants_json(page: Page, request: Request) -> bool:
    """Whether a machine asks."""
    return request.url.path.startswith(page.at(API))
