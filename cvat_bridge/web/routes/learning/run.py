"""The screen *Run a model*: a look, single objects, all of a frame, whole tasks."""

from __future__ import annotations

import secrets
from typing import Any

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.annotate.looking.look import LOWEST, Look
from cvat_bridge.annotate.looking.looker import Pointed
from cvat_bridge.annotate.looking.take import Taken
from cvat_bridge.errors import BridgeError, ConfigError, GatewayError, LabelMismatchError
from cvat_bridge.web.long_work.kinds.annotating import AskedRun
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.learning.forms import (
    AskedTake,
    AskedWhole,
    FrameQuery,
    FrameView,
    RunQuery,
    TakeFilled,
    WholeFilled,
)
from cvat_bridge.web.screens.learning.offered import (
    chosen_reference,
    offered_models,
    task_of_project,
)
from cvat_bridge.web.screens.learning.run import (
    COUNT,
    check_threshold,
    mapping,
    plan_run,
    run_screen,
    said,
)
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit

log = structlog.get_logger("page")


def run_routes(page: Page) -> APIRouter:
    """Offer the screen."""
    routes = APIRouter(prefix="/projects/{project_id}/run", include_in_schema=False)

    @routes.get("")
    def run(request: Request, project_id: int, asked: RunQuery) -> Response:
        found = visit(page, request, project_id)
        shown = run_screen(
            found.site,
            page.desk(found.site),
            model=asked.model,
            task_id=asked.task,
            start=asked.start,
            threshold=asked.threshold,
            mapped=asked.map,
        )
        view = {"model": shown.pointed.model, "task": shown.pointed.task_id}
        return _screen(
            page,
            request,
            found,
            "run.html",
            run=shown,
            view=view,
            maps=[text for text in asked.map if text],
            count=COUNT,
            lowest=LOWEST,
            key=secrets.token_hex(16),
        )

    @routes.get("/frame")
    def frame(request: Request, project_id: int, asked: FrameQuery) -> Response:
        found = visit(page, request, project_id)
        return _frame(page, request, found, asked, "")

    @routes.post("/take")
    def take(request: Request, project_id: int, form: TakeFilled) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, form.csrf)
        acting(found)
        asked = FrameView(**form.model_dump(exclude={"candidate", "csrf"}))
        told = words_of(take_of(page, found, form))
        return _frame(page, request, found, asked, told)

    @routes.post("/plan")
    def plan(request: Request, project_id: int, form: WholeFilled) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, form.csrf)
        acting(found)
        desk = page.desk(found.site)
        shown = plan_run(found.site, desk, asked_run(form))
        offered = {one.reference: one.words for one in offered_models(found.site)}
        return _screen(
            page,
            request,
            found,
            "run_plan.html",
            plan=shown,
            asked=form,
            words=offered[form.model],
        )

    @routes.post("/whole")
    def whole(request: Request, project_id: int, form: WholeFilled) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, form.csrf)
        acting(found)
        work = whole_of(page, found, form)
        return RedirectResponse(page.at(f"/projects/{project_id}/work/{work.key}"), 303)

    return routes


def look_of(page: Page, found: Visit, asked: FrameView) -> Look:
    """Let the model look at a frame; RefusedError in words where it cannot."""
    pointed = _pointed(found, asked)
    try:
        return page.desk(found.site).looker.look(pointed, asked.frame)
    except (LabelMismatchError, ConfigError) as error:
        raise RefusedError(422, said(error)) from error


def take_of(page: Page, found: Visit, asked: AskedTake) -> Taken:
    """Write what a person takes, and record whose hand it was."""
    pointed, looker = _pointed(found, asked), page.desk(found.site).looker
    try:
        if asked.candidate:
            taken = looker.take_one(pointed, asked.frame, asked.candidate)
        else:
            least = check_threshold(asked.threshold)
            taken = looker.take_all(pointed, asked.frame, least)
    except (LabelMismatchError, ConfigError) as error:
        raise RefusedError(422, said(error)) from error
    log.info(
        "objects taken",
        project=found.site.id,
        task=asked.task,
        frame=asked.frame,
        model=asked.model,
        objects=taken.objects,
        by=found.session.person.username,
    )
    return taken


def whole_of(page: Page, found: Visit, asked: AskedWhole) -> Work:
    """Queue a run over a whole task or project; the same key is the same run."""
    desk, wanted = page.desk(found.site), asked_run(asked)
    known = desk.find(asked.key)
    if known is not None:
        return known
    plan = plan_run(found.site, desk, wanted)
    if not plan.total:
        raise RefusedError(
            409,
            "There is nothing to do: every frame that may be annotated has this model's objects "
            "from this threshold on.",
        )
    return desk.works["annotate"].ask(
        asked.key,
        {
            "model": wanted.model,
            "task_id": wanted.task_id,
            "min_score": wanted.min_score,
            "only_empty": wanted.only_empty,
            "mapped": dict(wanted.mapped or {}),
        },
        who=found.session.person.username,
        at=found.site.parts.now(),
    )


def asked_run(asked: AskedWhole) -> AskedRun:
    """Return what is asked for as `annotate` takes it."""
    mapped = dict(mapping(asked.map))
    return AskedRun(asked.model, asked.task or None, asked.threshold, asked.only_empty, mapped)


def words_of(taken: Taken) -> str:
    """Return what was written."""
    if not taken.objects:
        return "Nothing was written: " + (
            "an object of this label stands there already."
            if taken.stood
            else "nothing more is found above this threshold."
        )
    objects = "1 object was" if taken.objects == 1 else f"{taken.objects} objects were"
    stood = f"; {taken.stood} stood there already" if taken.stood else ""
    return f"{objects} written to CVAT{stood}."


def _pointed(found: Visit, asked: FrameView | AskedTake) -> Pointed:
    task_of_project(found.site, asked.task)
    reference = chosen_reference(offered_models(found.site), asked.model)
    return Pointed(reference, asked.task, mapping(asked.map))


def _frame(page: Page, request: Request, found: Visit, asked: FrameView, told: str) -> Response:
    """Show one frame: a part of the screen, or a page of its own without script."""
    problem, look = "", None
    part = request.headers.get("hx-request")
    try:
        look = look_of(page, found, asked)
    except (GatewayError, BridgeError) as error:
        if not part:
            raise
        problem = error.words if isinstance(error, RefusedError) else str(error)
    least = 0.5 if asked.threshold is None else asked.threshold
    return _screen(
        page,
        request,
        found,
        "part_run_frame.html" if part else "run_frame.html",
        look=look,
        asked=asked,
        threshold=least,
        problem=problem,
        told_here=told,
    )


def _screen(
    page: Page, request: Request, found: Visit, template: str, /, **values: Any
) -> Response:
    head = bar(found.site, found.name)
    shown: dict[str, Any] = {**values, "visit": found, "bar": head, "tab": "run"}
    return render(page, request, template, session=found.session, **shown)
