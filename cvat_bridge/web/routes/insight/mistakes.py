"""The screen *Likely mistakes*: the list, the way into review, and what people made of it."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Form
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.errors import GatewayError
from cvat_bridge.mistakes.listing import kept_list
from cvat_bridge.mistakes.review import read_verdicts
from cvat_bridge.web.background.work_queue import WorkItem
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.insight.mistakes import (
    COUNT,
    KINDS,
    MistakesScreen,
    chosen_suspects,
    mistakes_screen,
)
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.visits import Visit, acting, check_form, visit

MOST = 500  # labels that one request sends to review


class AskedReview(BaseModel):
    """Labels to send to review. key: 32 hex digits of your own. suspects: keys of the list."""

    model_config = ConfigDict(extra="forbid")

    key: str
    suspects: list[str]


def mistakes_routes(page: Page) -> APIRouter:
    """Offer the screen, its JSON, the look and the review."""
    routes = APIRouter()

    def shown(found: Visit, start: int, kind: str) -> MistakesScreen:
        queue = page.work_queue(found.site)
        going = queue.under_way("look") or queue.under_way("review")
        past = [one for one in queue.all() if one.kind in ("look", "review") and not one.going]
        last = max(past, key=lambda one: one.begun, default=None)
        return mistakes_screen(found.site, start=start, kind=kind, going=going, last=last)

    def asks(found: Visit, key: str, keys: list[str]) -> WorkItem:
        chosen = chosen_suspects(kept_list(found.site.parts.home), keys[:MOST])
        queue = page.work_queue(found.site)
        if queue.find(key) is None and not chosen:
            raise RefusedError(
                422,
                "Nothing was sent: no label is marked, or the list was made anew since.",
                "Go back, mark some, and press the button again.",
            )
        asked = {"suspects": [asdict(one) for one in chosen]}
        who, now = found.session.person.username, found.site.parts.now()
        try:
            return queue.ask(key, "review", asked, who=who, now=now)
        except ValueError as error:
            raise RefusedError(422, f"Nothing was sent: {error}.", "Load the page again.") from None

    def looks(found: Visit) -> WorkItem:
        queue = page.work_queue(found.site)
        under_way = queue.under_way("look")
        if under_way is not None:
            return under_way
        who, now = found.session.person.username, found.site.parts.now()
        return queue.ask(secrets.token_hex(16), "look", {}, who=who, now=now)

    @routes.get("/projects/{project_id}/mistakes", include_in_schema=False)
    def screen(request: Request, project_id: int, start: int = 0, kind: str = "") -> Response:
        found = visit(page, request, project_id)
        return render(
            page,
            request,
            "insight/mistakes.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="mistakes",
            shown=shown(found, start, kind if kind in KINDS else ""),
            kinds=KINDS,
            count=COUNT,
            key=secrets.token_hex(16),
        )

    @routes.get("/projects/{project_id}/mistakes/work", include_in_schema=False)
    def work(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        now = shown(found, 0, "")
        answer = render(
            page,
            request,
            "part_insight_work.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            going=now.going,
        )
        if now.going is None:
            answer.headers["HX-Refresh"] = "true"
        return answer

    @routes.get("/projects/{project_id}/mistakes/verdicts", include_in_schema=False)
    def resolved(request: Request, project_id: int) -> Response:
        found = visit(page, request, project_id)
        parts = found.site.parts
        before = {row.key: row.verdict for row in parts.ledger.people.reviews()}
        words = "Nothing new is resolved."
        try:
            after = read_verdicts(parts.gateway, parts.ledger, parts.gather)
        except GatewayError as error:
            words = f"Which issues are resolved is not known: CVAT says {error.detail}."
            after = ()
        answer = Response(words, media_type="text/plain")
        if any(row.verdict != before[row.key] for row in after if row.key in before):
            answer.headers["HX-Refresh"] = "true"
        return answer

    @routes.post("/projects/{project_id}/mistakes/look", include_in_schema=False)
    def look(request: Request, project_id: int, csrf: Annotated[str, Form()] = "") -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        looks(acting(found))
        return RedirectResponse(page.at(f"/projects/{project_id}/mistakes"), 303)

    @routes.post("/projects/{project_id}/mistakes/review", include_in_schema=False)
    def review(
        request: Request,
        project_id: int,
        key: Annotated[str, Form()],
        suspect: Annotated[list[str] | None, Form()] = None,
        csrf: Annotated[str, Form()] = "",
    ) -> Response:
        found = visit(page, request, project_id)
        check_form(found.session, request, csrf)
        asks(acting(found), key, suspect or [])
        return RedirectResponse(page.at(f"/projects/{project_id}/mistakes"), 303)

    @routes.get("/api/projects/{project_id}/mistakes")
    def mistakes(
        request: Request, project_id: int, start: int = 0, kind: str = ""
    ) -> MistakesScreen:
        """Return finished labels that are probably wrong, likeliest first, and reviews of them."""
        return shown(visit(page, request, project_id), start, kind if kind in KINDS else "")

    @routes.post("/api/projects/{project_id}/mistakes/look", status_code=202)
    def look_again(request: Request, project_id: int) -> WorkItem:
        """Let the model that serves look at the finished labels; goes on in the background."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return looks(acting(found))

    @routes.post("/api/projects/{project_id}/mistakes/review", status_code=202)
    def send(request: Request, project_id: int, asked: AskedReview) -> WorkItem:
        """Open an issue in CVAT at the place of each label, once; goes on in the background."""
        found = visit(page, request, project_id)
        check_form(found.session, request, None)
        return asks(acting(found), asked.key, asked.suspects)

    @routes.get("/api/projects/{project_id}/work/{key}")
    def item(request: Request, project_id: int, key: str) -> WorkItem:
        """Return what became of work that was asked for."""
        found = page.work_queue(visit(page, request, project_id).site).find(key)
        if found is None:
            raise RefusedError(404, "There is no such work.")
        return found

    return routes
