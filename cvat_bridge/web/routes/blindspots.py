"""The screens *Blind spots* and *Failures*."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from cvat_bridge.blindspots.queries import blind_spots, failures
from cvat_bridge.blindspots.types import Failures
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.web.page import Page, RefusedError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.looking import SOURCES, Looking, looking
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.sites import Site
from cvat_bridge.web.visits import visit

COUNT = 24  # failures on a screen


def blind_routes(page: Page) -> APIRouter:
    """Offer the screens."""
    routes = APIRouter(prefix="/projects/{project_id}", include_in_schema=False)

    @routes.get("/blindspots")
    def spots(
        request: Request,
        project_id: int,
        model: str = "",
        source: str = "",
        threshold: float | None = None,
    ) -> Response:
        found = visit(page, request, project_id)
        look = looking(found.site, model, source, threshold)
        parts = found.site.parts
        shown = None
        if look.recorded is not None:
            shown = blind_spots(
                parts.home, parts.ledger, model=look.model, source=look.source, threshold=threshold
            )
        part = request.headers.get("hx-target", "").rpartition("#")[2] == "spots"
        return render(
            page,
            request,
            "part_spots.html" if part else "blindspots.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="blind",
            look=look,
            spots=shown,
            sources=SOURCES,
        )

    @routes.get("/failures")
    def failing(
        request: Request,
        project_id: int,
        model: str = "",
        source: str = "",
        threshold: float | None = None,
        where: str = "",
        truth: str | None = None,
        answer: str | None = None,
        start: int = 0,
    ) -> Response:
        found = visit(page, request, project_id)
        look = looking(found.site, model, source, threshold)
        shown = None
        if look.recorded is not None:
            shown = failures_of(found.site, look, where, truth, answer, max(0, start))
        return render(
            page,
            request,
            "failures.html",
            session=found.session,
            visit=found,
            bar=bar(found.site, found.name),
            tab="blind",
            look=look,
            found=shown,
            where=where,
            truth=truth,
            answer=answer,
            count=COUNT,
            sources=SOURCES,
        )

    return routes


def failures_of(
    site: Site, look: Looking, where: str, truth: str | None, answer: str | None, start: int
) -> Failures:
    """Give a screen of failures; RefusedError for a slice or class that there is not (any more)."""
    try:
        return failures(
            site.parts.home,
            site.parts.ledger,
            model=look.model,
            source=look.source,
            where=where,
            truth=truth,
            answer=answer,
            threshold=look.threshold,
            start=start,
            count=COUNT,
        )
    except ValueError as error:
        raise RefusedError(
            404,
            f"There is no such part of the failures: {error}.",
            "A class may have been renamed since. Begin from the blind spots again.",
        ) from error
    except NothingToDoError as error:
        raise RefusedError(404, f"{error}.", "Begin from the blind spots again.") from error
