"""Who asks: the session of a request, and the project it is about as this person sees it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.requests import Request

from cvat_bridge.cvat.person import Credentials
from cvat_bridge.errors import AuthenticationError, NotFoundError
from cvat_bridge.web.access.guard import SAFE, same
from cvat_bridge.web.access.sessions import Session
from cvat_bridge.web.page import Page, RefusedError, SignInNeededError
from cvat_bridge.web.sites import Site

CVAT_COOKIE = "sessionid"
LEFT_COOKIE = "learning_left"  # its owner signed out here and is not to be signed in unasked
ENDED, CHANGED, UNKNOWN_TOKEN = "ended", "changed", "token"


@dataclass(frozen=True)
class Visit:
    """A person at a project. refusal: why they may only look, "" where they may act."""

    session: Session
    site: Site
    name: str
    refusal: str


def fingerprint(value: str) -> str:
    """Name a CVAT cookie without keeping it."""
    return hashlib.sha256(b"cookie:" + value.encode()).hexdigest()[:32]


def session_of(page: Page, request: Request) -> Session:
    """Return the session of a request; SignInNeededError where there is none (any more).

    A request with `Authorization: Bearer` and an access token of CVAT is a visit of its own.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return _by_token(page, token.strip())
    secret = request.cookies.get(page.cookie, "")
    session = page.sessions.find(secret)
    if session is None:
        raise SignInNeededError(ENDED if secret else "")
    if session.cookie_of:
        given = request.cookies.get(CVAT_COOKIE, "")
        if not given or fingerprint(given) != session.cookie_of:
            page.sessions.end(secret)
            raise SignInNeededError(CHANGED)
    return session


def by_cookie(page: Page, request: Request) -> Session | None:
    """Begin a session by CVAT's own cookie; None where there is none or CVAT does not know it."""
    given = request.cookies.get(CVAT_COOKIE, "")
    if not given:
        return None
    credentials = Credentials("session", given, request.cookies.get("csrftoken", ""))
    try:
        person = page.cvat.who(credentials)
    except AuthenticationError:
        return None
    return page.sessions.begin(person, credentials, cookie_of=fingerprint(given))


def check_form(session: Session, request: Request, given: str | None) -> None:
    """Refuse what holds no token of this session. Bearer tokens are sent by nobody unasked."""
    if request.method in SAFE or request.headers.get("authorization"):
        return
    if not same(given or request.headers.get("x-csrf-token"), session.token):
        raise RefusedError(
            403,
            "This form is from another session, so nothing was done.",
            "Load the page again and press the button once more.",
        )


def visit(page: Page, request: Request, project_id: int) -> Visit:
    """Let a person in to a project. Raises SignInNeededError, RefusedError, GatewayError."""
    session = session_of(page, request)
    site = page.sites.get(project_id)
    try:
        seen = page.rights.project(session, project_id)
    except NotFoundError:
        raise RefusedError(
            404,
            f"There is no project {project_id}, or CVAT does not show it to you.",
            "It may have been deleted in CVAT. Its owner can make you its assignee, or a "
            "maintainer of its organization.",
        ) from None
    except AuthenticationError as error:
        page.sessions.end(session.secret)
        raise SignInNeededError(ENDED) from error
    if site is None:
        raise RefusedError(
            404,
            f"No loop runs for project {project_id} ({seen.name}) here.",
            f"An engineer begins one with `cvat-bridge projects add {project_id}`.",
        )
    return Visit(session, site, seen.name, seen.refusal)


def acting(found: Visit) -> Visit:
    """Let through who may change the project; RefusedError 403 for who may only look."""
    if found.refusal:
        raise RefusedError(
            403,
            f"You may look, but not act here: {found.refusal}.",
            "Ask the project's owner in CVAT.",
        )
    return found


def _by_token(page: Page, token: str) -> Session:
    credentials = Credentials("token", token)
    try:
        person = page.cvat.who(credentials)
    except AuthenticationError as error:
        raise SignInNeededError(UNKNOWN_TOKEN) from error
    return Session(fingerprint(token), "", person, credentials, ours=False)
