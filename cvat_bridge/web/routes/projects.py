"""The first screen: the projects that CVAT shows this person."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.errors import AuthenticationError, BridgeError
from cvat_bridge.web.access.sessions import Session
from cvat_bridge.web.page import Page, SignInNeededError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.screens.bar import Bar
from cvat_bridge.web.screens.now import bar
from cvat_bridge.web.sites import cvat_address
from cvat_bridge.web.visits import ENDED, session_of

log = structlog.get_logger("page")


@dataclass(frozen=True)
class Listed:
    """A project that CVAT shows. bar: None where no loop runs for it here, or it cannot be read.

    problem: why it cannot be read, "" where it can. refusal: why this person may only look.
    """

    id: int
    name: str
    refusal: str
    bar: Bar | None
    problem: str


def project_routes(page: Page) -> APIRouter:
    """Offer the list of projects."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    def projects(request: Request) -> Response:
        session = session_of(page, request)
        found = listed(page, session)
        return render(
            page,
            request,
            "projects.html",
            session=session,
            projects=found,
            cvat_url=cvat_address(page.config),
        )

    @routes.get("/projects/{project_id}")
    def project(project_id: int) -> Response:
        return RedirectResponse(page.at(f"/projects/{project_id}/now"), 303)

    return routes


def listed(page: Page, session: Session) -> tuple[Listed, ...]:
    """Return the projects that CVAT shows this person, those with a loop first."""
    try:
        seen = page.rights.projects(session)
    except AuthenticationError as error:
        page.sessions.end(session.secret)
        raise SignInNeededError(ENDED) from error
    found = []
    for one in seen:
        site, head, problem = page.sites.get(one.id), None, ""
        if site is not None:
            try:
                head = bar(site, one.name)
            except BridgeError as error:
                log.warning("project", project=one.id, error=str(error))
                problem = str(error)
        found.append(Listed(one.id, one.name, one.refusal, head, problem))
    return tuple(sorted(found, key=lambda row: (page.sites.get(row.id) is None, row.id)))
