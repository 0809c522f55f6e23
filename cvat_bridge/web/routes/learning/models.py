"""The screen *Models*: the library, a version, promoting and going back, comparing two."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from cvat_bridge.web.long_work.kinds.comparing import pictures_of
from cvat_bridge.web.long_work.work import Work
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.learning.forms import AskedChange, AskedComparison
from cvat_bridge.web.routes.learning.work import work_of
from cvat_bridge.web.screens.learning.library import (
    about,
    change_of,
    library,
    promote,
    roll_back,
    test_frames,
)
from cvat_bridge.web.screens.learning.offered import chosen_reference, offered_models
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit
from trainer.registry.versions import Version

log = structlog.get_logger("page")
Text = Annotated[str, Form()]


def model_routes(page: Page) -> APIRouter:
    """Offer the screen."""
    routes = APIRouter(prefix="/projects/{project_id}/models", include_in_schema=False)

    @routes.get("")
    def models(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        return _screen(
            page,
            request,
            found,
            "models.html",
            library=library(found.site, page.desk(found.site)),
            key=secrets.token_hex(16),
            upload_gb=page.config.page.upload_gb,
        )

    @routes.get("/version")
    def version(request: Request, project_id: int, key: str, number: str) -> Response:
        found = visit(page, request, project_id)
        values = about(found.site, key, number)
        return _screen(page, request, found, "model.html", model=values, key=key, number=number)

    @routes.get("/change")
    def change(request: Request, project_id: int, key: str, number: str = "") -> Response:
        found = visit(page, request, project_id)
        shown = change_of(found.site, key, number or None)
        return _screen(page, request, found, "model_change.html", change=shown, back=not number)

    @routes.post("/promote")
    def promoting(
        request: Request,
        project_id: int,
        key: Text,
        number: Text,
        why: Text = "",
        csrf: Text = "",
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        now = change_by(found, AskedChange(key=key, number=number, why=why))
        return _changed(page, found, now)

    @routes.post("/rollback")
    def back(
        request: Request, project_id: int, key: Text, why: Text = "", csrf: Text = ""
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        now = change_by(found, AskedChange(key=key, why=why))
        return _changed(page, found, now)

    @routes.post("/compare")
    def compare(
        request: Request,
        project_id: int,
        key: Text,
        first: Text,
        second: Text,
        tests: Text = "",
        csrf: Text = "",
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        acting(found)
        asked = AskedComparison(key=key, first=first, second=second, tests=tests)
        work = comparison_of(page, found, asked)
        return RedirectResponse(page.at(f"/projects/{project_id}/work/{work.key}"), 303)

    @routes.get("/compare/{key}/{place}.png")
    def picture(request: Request, project_id: int, key: str, place: int) -> Response:
        found = visit(page, request, project_id)
        work = work_of(page.desk(found.site), key)
        path: Path = pictures_of(found.site, work.key) / f"{place}.png"
        if work.kind != "compare" or not path.is_file():
            raise RefusedError(404, "There is no such picture.")
        return FileResponse(
            path, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"}
        )

    return routes


def change_by(found: Visit, asked: AskedChange) -> Version:
    """Promote, or without a number roll back, by this person's word."""
    who = found.session.person.username
    if asked.number:
        now = promote(found.site, asked.key, asked.number, who=who, why=asked.why)
    else:
        now = roll_back(found.site, asked.key, who=who, why=asked.why)
    log.info(
        "promoted" if asked.number else "rolled back",
        project=found.site.id,
        key=asked.key,
        number=now.number,
        by=who,
    )
    return now


def comparison_of(page: Page, found: Visit, asked: AskedComparison) -> Work:
    """Queue a comparison; the same key is the same one."""
    desk = page.desk(found.site)
    known = desk.find(asked.key)
    if known is not None:
        return known
    offered = offered_models(found.site)
    first, second = (chosen_reference(offered, one) for one in (asked.first, asked.second))
    if first == second:
        raise RefusedError(422, "Choose two different models.", "Nothing was done.")
    tests = {one.fingerprint for one in test_frames(found.site)}
    chosen = asked.tests or next((one.fingerprint for one in test_frames(found.site)), "")
    if chosen not in tests:
        raise RefusedError(
            409,
            "There are no labelled test frames to compare on yet.",
            "A round or a training takes them: set frames aside, or name a test part.",
        )
    return desk.works["compare"].ask(
        asked.key,
        {"first": first, "second": second, "dataset": chosen},
        who=found.session.person.username,
        at=found.site.parts.now(),
    )


def _changed(page: Page, found: Visit, now: Version) -> Response:
    page.notify(found.session, f"Version {now.number} serves from now on.")
    return RedirectResponse(page.at(f"/projects/{found.site.id}/models"), 303)


def _screen(
    page: Page, request: Request, found: Visit, template: str, /, **values: Any
) -> Response:
    head = bar(found.site, found.name)
    shown: dict[str, Any] = {**values, "visit": found, "bar": head, "tab": "models"}
    return render(page, request, template, session=found.session, **shown)
