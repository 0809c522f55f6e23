"""The screen *Find more like these*, and the way from there to a task in CVAT."""

from __future__ import annotations

import re
import secrets
from typing import Annotated

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.blindspots.similar import find_similar
from cvat_bridge.blindspots.tasks import plan_task
from cvat_bridge.blindspots.types import Similar, TaskRequest
from cvat_bridge.cvat.gateway import User
from cvat_bridge.errors import GatewayError, NothingToDoError
from cvat_bridge.web.errands import Errand
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.looking import Looking, looking
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.sites import Site
from cvat_bridge.web.visits import Visit, acting, check_form, visit

MOST = 500  # frames that one search gives
_FRAME = re.compile(r"\d{1,12}/\d{1,9}")


def similar_routes(page: Page) -> APIRouter:
    """Offer the screen, the look at what would be done, and the making of the task."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/similar")
    def similar(
        request: Request,
        project_id: int,
        model: str = "",
        source: str = "",
        threshold: float | None = None,
        where: str = "",
        count: int = 50,
        chosen: Annotated[list[str] | None, Query()] = None,
    ) -> Response:
        found = visit(page, request, project_id)
        look = looking(found.site, model, source, threshold)
        picked = tuple((chosen or [])[:MOST])
        shown, problem = similar_of(found.site, look, where, count, picked)
        people, unknown = _people(found.site)
        return render(
            page,
            request,
            "similar.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="blind",
            look=look,
            found=shown,
            where=where,
            count=min(max(1, count), MOST),
            most=MOST,
            chosen=picked,
            problem=problem,
            people=people,
            unknown=unknown,
            job_size=found.site.config.rounds.job_size,
            key=secrets.token_hex(16),
        )

    @routes.post("/tasks/plan")
    def plan(
        request: Request,
        project_id: int,
        key: Annotated[str, Form()],
        frames: Annotated[list[str], Form()] = [],  # noqa: B006 - never changed
        name: Annotated[str, Form()] = "",
        model: Annotated[str, Form()] = "",
        where: Annotated[str, Form()] = "",
        job_size: Annotated[int, Form()] = 10,
        assignees: Annotated[list[str], Form()] = [],  # noqa: B006 - never changed
        prelabel: Annotated[bool, Form()] = False,
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        found = _allowed(page, request, project_id, csrf)
        wanted = request_of(found, key, frames, name, model, where, job_size, assignees, prelabel)
        shown = plan_task(found.site.parts, wanted)
        return render(
            page,
            request,
            "plan.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="blind",
            plan=shown,
            wanted=wanted,
            frames=frames,
        )

    @routes.post("/tasks")
    def create(
        request: Request,
        project_id: int,
        key: Annotated[str, Form()],
        frames: Annotated[list[str], Form()] = [],  # noqa: B006 - never changed
        name: Annotated[str, Form()] = "",
        model: Annotated[str, Form()] = "",
        where: Annotated[str, Form()] = "",
        job_size: Annotated[int, Form()] = 10,
        assignees: Annotated[list[str], Form()] = [],  # noqa: B006 - never changed
        prelabel: Annotated[bool, Form()] = False,
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        found = _allowed(page, request, project_id, csrf)
        wanted = request_of(found, key, frames, name, model, where, job_size, assignees, prelabel)
        page.errands(found.site).ask(wanted, found.site.parts.now())
        return RedirectResponse(page.at(f"/projects/{project_id}/tasks/{key}"), 303)

    @routes.get("/tasks/{key}")
    def made(request: Request, project_id: int, key: str) -> Response:
        found = visit(page, request, project_id)
        errand = errand_of(page, found, key)
        part = request.headers.get("hx-request")
        return render(
            page,
            request,
            "part_made.html" if part else "made.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="blind",
            errand=errand,
        )

    return routes


def similar_of(
    site: Site, look: Looking, where: str, count: int, chosen: tuple[str, ...]
) -> tuple[Similar | None, str]:
    """Give the frames, or why there are none."""
    if look.recorded is None:
        return None, "Nothing is recorded of this model yet"
    try:
        found = find_similar(
            site.parts.home,
            site.parts.ledger,
            site.parts.settings,
            model=look.model,
            source=look.source,
            where=where,
            threshold=look.threshold,
            count=min(max(1, count), MOST),
            chosen=chosen,
        )
    except NothingToDoError as error:
        return None, str(error)
    except ValueError as error:
        raise RefusedError(
            404,
            f"There is no such part of the failures: {error}.",
            "A class may have been renamed since. Begin from the blind spots again.",
        ) from error
    return found, ""


def errand_of(page: Page, found: Visit, key: str) -> Errand:
    """Give a request of this project; RefusedError 404 where there is none."""
    errand = page.errands(found.site).find(key)
    if errand is None:
        raise RefusedError(404, "There is no such request.", "Begin from the blind spots again.")
    return errand


def _allowed(page: Page, request: Request, project_id: int, csrf: str) -> Visit:
    found = visit(page, request, project_id)
    check_form(found.session, request, csrf)
    return acting(found)


def request_of(
    found: Visit,
    key: str,
    frames: list[str],
    name: str,
    model: str,
    where: str,
    job_size: int,
    assignees: list[str],
    prelabel: bool,
) -> TaskRequest:
    """Read the form. A frame is "<task>/<number>", with "!" behind it where chance drew it."""
    keys = [frame.rstrip("!") for frame in frames]
    faults = []
    if not re.fullmatch(r"[0-9a-f]{32}", key):
        faults.append("the form's key is not ours")
    if not keys:
        faults.append("no frame is chosen")
    if len(keys) > MOST or not all(_FRAME.fullmatch(one) for one in keys):
        faults.append(f"frames are at most {MOST}, each a task and a number")
    if not 1 <= job_size <= 1000:
        faults.append("a job has between 1 and 1,000 frames")
    if not name.strip() or len(name) > 200:
        faults.append("the name has between 1 and 200 letters")
    if faults:
        raise RefusedError(422, f"Nothing was done: {'; '.join(faults)}.", "Go back and mend it.")
    return TaskRequest(
        key=key,
        name=" ".join(name.split()),
        frames=tuple(dict.fromkeys(keys)),
        who=found.session.person.username,
        where=where[:300],
        model=model[:100],
        controls=frozenset(one.rstrip("!") for one in frames if one.endswith("!")),
        job_size=job_size,
        assignees=tuple(assignees),
        prelabel=prelabel,
    )


def _people(site: Site) -> tuple[tuple[User, ...], str]:
    """Give whom jobs can be assigned to, or why that is not known."""
    try:
        return site.parts.gateway.users(), ""
    except GatewayError as error:
        return (), error.detail
