"""The screens *Blind spots* and *Failures*."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cvat_bridge.blindspots.queries import blind_spots, failures
from cvat_bridge.blindspots.types import Failures
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.routes.request_models import FailuresOf, FailuresQuery, ViewQuery, no_such_part
from cvat_bridge.web.screens.model_view import SOURCES, ModelView, model_view
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.sites import Site
from cvat_bridge.web.visits import Visit, visit

COUNT = 24  # failures on a screen


def blind_routes(page: Page) -> APIRouter:
    """Offer the screens."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/blindspots")
    def spots(request: Request, project_id: int, asked: ViewQuery) -> Response:
        found = visit(page, request, project_id)
        look = model_view(found.site, asked.model, asked.source, asked.threshold)
        parts = found.site.parts
        shown = None
        if look.recorded is not None:
            shown = blind_spots(
                parts.home,
                parts.ledger,
                model=look.model,
                source=look.source,
                threshold=look.threshold,
            )
        part = request.headers.get("hx-target", "").rpartition("#")[2] == "spots"
        template = "part_spots.html" if part else "blindspots.html"
        return screen(page, request, found, template, look=look, spots=shown, sources=SOURCES)

    @routes.get("/failures")
    def failing(request: Request, project_id: int, asked: FailuresQuery) -> Response:
        found = visit(page, request, project_id)
        look = model_view(found.site, asked.model, asked.source, asked.threshold)
        return screen(
            page,
            request,
            found,
            "failures.html",
            look=look,
            found=None if look.recorded is None else failures_of(found.site, look, asked),
            where=asked.where,
            truth=asked.truth,
            answer=asked.answer,
            count=COUNT,
            sources=SOURCES,
        )

    return routes


def screen(
    page: Page, request: Request, visited: Visit, template: str, /, **values: Any
) -> Response:
    """Render a screen under *Blind spots*, or a part of one."""
    head = bar(visited.site, visited.name)
    values |= {"visit": visited, "bar": head, "tab": "blind"}
    return render(page, request, template, session=visited.session, **values)


def failures_of(site: Site, look: ModelView, asked: FailuresOf) -> Failures:
    """Return a screen of failures; RefusedError for a slice or class that does not exist."""
    try:
        return failures(
            site.parts.home,
            site.parts.ledger,
            model=look.model,
            source=look.source,
            where=asked.where,
            truth=asked.truth,
            answer=asked.answer,
            threshold=look.threshold,
            start=max(0, asked.start),
            count=COUNT,
        )
    except ValueError as error:
        raise no_such_part(error) from error
    except NothingToDoError as error:
        raise RefusedError(404, f"{error}.", "Begin from the blind spots again.") from error
