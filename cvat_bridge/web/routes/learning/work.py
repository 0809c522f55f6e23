"""Long work that somebody asked for: how far it is, and the buttons to stop and resume it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.web.long_work.desk import Desk
from cvat_bridge.web.long_work.kinds.training import run_of
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.learning.progress import FitReader
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit

TABS = {"annotate": "run", "train": "train", "bring": "models", "compare": "models"}


def work_routes(page: Page, reader: FitReader) -> APIRouter:
    """Offer the screen of a piece of work."""
    routes = APIRouter(prefix="/projects/{project_id}/work/{key}", include_in_schema=False)

    @routes.get("")
    def work(request: Request, project_id: int, key: str) -> Response:
        found = visit(page, request, project_id)
        desk = page.desk(found.site)
        one = work_of(desk, key)
        part = request.headers.get("hx-request")
        return render(
            page,
            request,
            "part_long.html" if part else "long.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab=TABS[one.kind],
            work=one,
            before=desk.works[one.kind].before(key),
            fit=reader.read(run_of(found.site, one)) if one.kind == "train" else None,
        )

    @routes.post("/stop")
    def stop(
        request: Request, project_id: int, key: str, csrf: Annotated[str, Form()] = ""
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        stop_work(page, found, key)
        return RedirectResponse(page.at(f"/projects/{project_id}/work/{key}"), 303)

    @routes.post("/resume")
    def resume(
        request: Request, project_id: int, key: str, csrf: Annotated[str, Form()] = ""
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        resume_work(page, found, key)
        return RedirectResponse(page.at(f"/projects/{project_id}/work/{key}"), 303)

    return routes


def work_of(desk: Desk, key: str) -> Work:
    """Return a piece of work of a project; RefusedError 404 where there is none."""
    found = desk.find(key)
    if found is None:
        raise RefusedError(404, "Nobody asked for such work in this project.")
    return found


def stop_work(page: Page, found: Visit, key: str) -> Work:
    """Let it end and keep what is done, by this person's word."""
    acting(found)
    desk = page.desk(found.site)
    works = desk.works[work_of(desk, key).kind]
    return works.stop(key, who=found.session.person.username, at=found.site.parts.now())


def resume_work(page: Page, found: Visit, key: str) -> Work:
    """Go on with it, by this person's word."""
    acting(found)
    desk = page.desk(found.site)
    works = desk.works[work_of(desk, key).kind]
    return works.resume(key, who=found.session.person.username, at=found.site.parts.now())
