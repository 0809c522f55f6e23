"""The screen *Find more like these*, and the way from there to a task in CVAT."""

from __future__ import annotations

import secrets

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.blindspots.similar import find_similar
from cvat_bridge.blindspots.tasks import plan_task
from cvat_bridge.blindspots.types import Similar
from cvat_bridge.cvat.gateway import User
from cvat_bridge.errors import GatewayError, NothingToDoError
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.routes.blindspots import screen
from cvat_bridge.web.routes.request_models import (
    MOST,
    FilledForm,
    SimilarQuery,
    SimilarTo,
    no_such_part,
    request_of,
)
from cvat_bridge.web.screens.model_view import ModelView, model_view
from cvat_bridge.web.sites import Site
from cvat_bridge.web.task_queue import QueuedTask
from cvat_bridge.web.visits import Visit, acting, check_form, visit


def similar_routes(page: Page) -> APIRouter:
    """Offer the screen, the look at what would be done, and the making of the task."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/similar")
    def similar(request: Request, project_id: int, asked: SimilarQuery) -> Response:
        found = visit(page, request, project_id)
        look = model_view(found.site, asked.model, asked.source, asked.threshold)
        shown, problem = similar_of(found.site, look, asked)
        people, unknown = _people(found.site)
        return screen(
            page,
            request,
            found,
            "similar.html",
            look=look,
            found=shown,
            where=asked.where,
            count=min(max(1, asked.count), MOST),
            most=MOST,
            chosen=tuple(asked.chosen[:MOST]),
            problem=problem,
            people=people,
            unknown=unknown,
            job_size=found.site.config.rounds.job_size,
            key=secrets.token_hex(16),
        )

    @routes.post("/tasks/plan")
    def plan(request: Request, project_id: int, form: FilledForm) -> Response:
        found = _allowed(page, request, project_id, form.csrf)
        wanted = request_of(found, form)
        shown = plan_task(found.site.parts, wanted)
        return screen(
            page, request, found, "plan.html", plan=shown, wanted=wanted, frames=form.frames
        )

    @routes.post("/tasks")
    def create(request: Request, project_id: int, form: FilledForm) -> Response:
        found = _allowed(page, request, project_id, form.csrf)
        page.task_queue(found.site).ask(request_of(found, form), found.site.parts.now())
        return RedirectResponse(page.at(f"/projects/{project_id}/tasks/{form.key}"), 303)

    @routes.get("/tasks/{key}")
    def made(request: Request, project_id: int, key: str) -> Response:
        found = visit(page, request, project_id)
        part = request.headers.get("hx-request")
        template = "part_made.html" if part else "made.html"
        return screen(page, request, found, template, queued=queued_task(page, found, key))

    return routes


def similar_of(site: Site, look: ModelView, asked: SimilarTo) -> tuple[Similar | None, str]:
    """Return the frames, or why there are none."""
    if look.recorded is None:
        return None, "Nothing is recorded of this model yet"
    try:
        found = find_similar(
            site.parts.home,
            site.parts.ledger,
            site.parts.settings,
            model=look.model,
            source=look.source,
            where=asked.where,
            threshold=look.threshold,
            count=min(max(1, asked.count), MOST),
            chosen=tuple(asked.chosen[:MOST]),
        )
    except NothingToDoError as error:
        return None, str(error)
    except ValueError as error:
        raise no_such_part(error) from error
    return found, ""


def queued_task(page: Page, found: Visit, key: str) -> QueuedTask:
    """Return a request of this project; RefusedError 404 where there is none."""
    queued = page.task_queue(found.site).find(key)
    if queued is None:
        raise RefusedError(404, "There is no such request.", "Begin from the blind spots again.")
    return queued


def _allowed(page: Page, request: Request, project_id: int, csrf: str) -> Visit:
    found = visit(page, request, project_id)
    check_form(found.session, request, csrf)
    return acting(found)


def _people(site: Site) -> tuple[tuple[User, ...], str]:
    """Return whom jobs can be assigned to, or why that is not known."""
    try:
        return site.parts.gateway.users(), ""
    except GatewayError as error:
        return (), error.detail
