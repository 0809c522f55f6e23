"""Everything that a screen shows, as JSON."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request

from cvat_bridge.blindspots.queries import blind_spots
from cvat_bridge.blindspots.types import BlindSpots, Failures, RecordedModel, Similar
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.routes.blindspots import failures_of
from cvat_bridge.web.routes.projects import Listed, listed
from cvat_bridge.web.routes.request_models import (
    AskedTask,
    FailuresQuery,
    SimilarQuery,
    View,
    ViewQuery,
    request_of,
)
from cvat_bridge.web.routes.similar import queued_task, similar_of
from cvat_bridge.web.screens import now as screen
from cvat_bridge.web.screens.model_view import ModelView, model_view
from cvat_bridge.web.task_queue import QueuedTask
from cvat_bridge.web.visits import Visit, acting, check_form, session_of, visit


def api_routes(page: Page) -> APIRouter:
    """Offer the JSON routes; OpenAPI describes them."""
    routes = APIRouter(prefix="/api")

    @routes.get("/projects")
    def projects(request: Request) -> tuple[Listed, ...]:
        """Return the projects that CVAT shows the caller, those with a loop first."""
        return listed(page, session_of(page, request))

    @routes.get("/projects/{project_id}/now")
    def now(request: Request, project_id: int) -> screen.Now:
        """Return what serves and why, the work under way, the batch, the curve, the corrections."""
        found = visit(page, request, project_id)
        return screen.now(found.site, found.name)

    @routes.get("/projects/{project_id}/models")
    def models(request: Request, project_id: int) -> tuple[RecordedModel, ...]:
        """Return the models and sources of which failures are recorded."""
        return model_view(visit(page, request, project_id).site, "", "", None).others

    @routes.get("/projects/{project_id}/blindspots")
    def spots(request: Request, project_id: int, asked: ViewQuery) -> BlindSpots:
        """Return where a model fails: slices worst first, the confusion matrix, overall figures."""
        found, look = _look(page, request, project_id, asked)
        parts = found.site.parts
        return blind_spots(
            parts.home, parts.ledger, model=look.model, source=look.source, threshold=look.threshold
        )

    @routes.get("/projects/{project_id}/failures")
    def failing(request: Request, project_id: int, asked: FailuresQuery) -> Failures:
        """Return the failures of a slice (where) or of a cell of the matrix (truth and answer)."""
        found, look = _look(page, request, project_id, asked)
        return failures_of(found.site, look, asked)

    @routes.get("/projects/{project_id}/similar")
    def similar(request: Request, project_id: int, asked: SimilarQuery) -> Similar:
        """Return the frames of the pool that look like these failures, most alike first."""
        found, look = _look(page, request, project_id, asked)
        shown, problem = similar_of(found.site, look, asked)
        if shown is None:
            raise NothingToDoError(problem)
        return shown

    @routes.post("/projects/{project_id}/tasks", status_code=202)
    def ask(request: Request, project_id: int, asked: AskedTask) -> QueuedTask:
        """Ask for a task in CVAT; it is made in the background, once for each key.

        With a cookie instead of a token, send the session's token as X-CSRF-Token.
        """
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        acting(found)
        return page.task_queue(found.site).ask(request_of(found, asked), found.site.parts.now())

    @routes.get("/projects/{project_id}/tasks/{key}")
    def made(request: Request, project_id: int, key: str) -> QueuedTask:
        """Return what became of a task that was asked for."""
        return queued_task(page, visit(page, request, project_id), key)

    return routes


def _look(page: Page, request: Request, project_id: int, asked: View) -> tuple[Visit, ModelView]:
    found = visit(page, request, project_id)
    look = model_view(found.site, asked.model, asked.source, asked.threshold)
    if look.recorded is None:
        raise RefusedError(
            404,
            "Nothing is recorded of this model and source yet.",
            "Each round records what its models got wrong; /models lists what there is.",
        )
    return found, look
