"""The screen *Now*, its part that follows the work under way, and its two buttons."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.errors import GatewayError
from cvat_bridge.web.page import Page
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens import now as screen
from cvat_bridge.web.screens.batch import job_states
from cvat_bridge.web.screens.work import stop_run
from cvat_bridge.web.visits import Visit, acting, check_form, visit


def now_routes(page: Page) -> APIRouter:
    """Offer the screen."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/now")
    def now(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        shown = screen.now(found.site, found.name)
        return render(
            page,
            request,
            "now.html",
            session=found.session,
            visit=found,
            bar=shown.bar,
            now=shown,
            tab="now",
            mark=screen.mark(shown.bar),
        )

    @routes.get("/now/work")
    def work(request: Request, project_id: int, seen: str = "") -> Response:
        found = visit(page, request, project_id)
        shown = screen.now_work(found.site, found.name)
        answer = render(
            page,
            request,
            "part_work.html",
            session=found.session,
            visit=found,
            bar=shown.bar,
            work=shown.work,
            mark=shown.mark,
        )
        if seen and seen != shown.mark:  # another step or model: the whole screen is another one
            answer.headers["HX-Refresh"] = "true"
        return answer

    @routes.get("/now/jobs")
    def jobs(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        shown = screen.now(found.site, found.name)
        problem, states = "", {}
        if shown.batch is not None:
            try:
                states = job_states(found.site.parts.gateway, shown.batch.jobs)
            except GatewayError as error:
                problem = f"CVAT does not answer: {error.detail}."
        return render(
            page,
            request,
            "part_jobs.html",
            session=found.session,
            visit=found,
            bar=shown.bar,
            b=shown.batch,
            states=states,
            problem=problem,
        )

    @routes.post("/round")
    def begin(request: Request, project_id: int, csrf: Annotated[str, Form()] = "") -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        message = screen.begin_round(found.site, found.session.person.username)
        return _back(page, found, message)

    @routes.post("/runs/{run}/stop")
    def stop(
        request: Request, project_id: int, run: str, csrf: Annotated[str, Form()] = ""
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        return _back(page, found, stop_run(found.site.parts.home.runs, run))

    return routes


def _back(page: Page, found: Visit, message: str) -> Response:
    """Show the screen again with a sentence; loading it again does nothing twice."""
    page.notify(found.session, message)
    return RedirectResponse(page.at(f"/projects/{found.site.id}/now"), 303)
