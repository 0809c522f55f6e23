"""Signing in with the CVAT account, in three ways, and out again."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from cvat_bridge.cvat.person import Credentials
from cvat_bridge.errors import AuthenticationError, GatewayError
from cvat_bridge.web.access.sessions import Session
from cvat_bridge.web.page import REASONS, Page, SignInNeededError
from cvat_bridge.web.rendering import render
from cvat_bridge.web.sites import cvat_address
from cvat_bridge.web.visits import CVAT_COOKIE, LEFT_COOKIE, by_cookie, check_form, session_of

_WEEK = 7 * 24 * 3600


def signing_routes(page: Page) -> APIRouter:
    """Offer the sign-in page, signing in and signing out."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/signin")
    def sign_in_page(request: Request, next: str = "", why: str = "") -> Response:  # noqa: A002 - the address
        with suppress(SignInNeededError):
            session_of(page, request)
            return RedirectResponse(page.own_path(next), 303)
        return _form(page, request, next, REASONS.get(why, "") if why else "")

    @routes.post("/signin")
    def sign_in(
        request: Request,
        way: Annotated[str, Form()] = "",
        next: Annotated[str, Form()] = "",  # noqa: A002 - the form's field
        username: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        token: Annotated[str, Form()] = "",
    ) -> Response:
        caller = request.client.host if request.client else ""
        keys = (f"name {username.lower()}",) if way == "password" else (f"from {caller}",)
        wait = page.attempts.wait(*keys)
        if wait > 0:
            words = f"Too many attempts. Try again in {wait:.0f} seconds."
            return _form(page, request, next, words, status=429, username=username)
        try:
            session = _begin(page, request, way, username, password, token)
        except AuthenticationError as error:
            page.attempts.failed(*keys)
            return _form(page, request, next, _said(way, error), status=401, username=username)
        except GatewayError as error:
            words = f"CVAT does not answer, so nobody can sign in now: {error.detail}."
            return _form(page, request, next, words, status=503, username=username)
        answer = RedirectResponse(page.own_path(next), 303)
        answer.delete_cookie(LEFT_COOKIE, path=page.at("/"))
        return with_cookie(page, answer, session)

    @routes.post("/signout")
    def sign_out(request: Request, csrf: Annotated[str, Form()] = "") -> Response:
        answer = RedirectResponse(page.at("/signin"), 303)
        answer.delete_cookie(page.cookie, path=page.at("/"))
        try:
            session = session_of(page, request)
        except SignInNeededError:
            return answer
        check_form(session, request, csrf)
        page.sessions.end(session.secret)
        page.rights.forget(session)
        if session.ours:
            with suppress(GatewayError):  # CVAT ends it by itself in time
                page.cvat.sign_out(session.credentials)
        answer.set_cookie(
            LEFT_COOKIE,
            "1",
            path=page.at("/"),
            httponly=True,
            samesite="lax",
            secure=page.guard.https,
        )
        return answer

    return routes


def with_cookie(page: Page, answer: Response, session: Session) -> Response:
    """Return the browser the session's cookie."""
    answer.set_cookie(
        page.cookie,
        session.secret,
        max_age=_WEEK,
        path=page.at("/"),
        httponly=True,
        samesite="lax",
        secure=page.guard.https,
    )
    return answer


def to_sign_in(page: Page, request: Request, reason: str) -> Response:
    """Lead to the sign-in page and back; somebody whom CVAT knows by its cookie is in at once."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method == "GET" and not request.cookies.get(LEFT_COOKIE):
        with suppress(GatewayError):
            session = by_cookie(page, request)
            if session is not None:
                return with_cookie(page, RedirectResponse(here, 303), session)
    back = here if request.method == "GET" else request.headers.get("referer", "")
    parameters = {"next": path_of(back), "why": reason}
    where = f"{page.at('/signin')}?{urlencode({k: v for k, v in parameters.items() if v})}"
    return RedirectResponse(where, 303)


def path_of(address: str) -> str:
    """Return the path and query of an address."""
    scheme, _, rest = address.partition("://")
    return f"/{rest.partition('/')[2]}" if rest and scheme in ("http", "https") else address


def _begin(
    page: Page, request: Request, way: str, username: str, password: str, token: str
) -> Session:
    if way == "cvat":
        session = by_cookie(page, request)
        if session is None:
            raise AuthenticationError(
                "sign in", "you", 401, "this browser is not signed in to CVAT"
            )
        return session
    if way == "token":
        given = Credentials("token", token.strip())
        return page.sessions.begin(page.cvat.who(given), given)
    if way != "password" or not username or not password:
        raise AuthenticationError("sign in", "you", 401, "a field is empty")
    opened = page.cvat.sign_in(username, password)
    return page.sessions.begin(page.cvat.who(opened), opened, ours=True)


def _said(way: str, error: AuthenticationError) -> str:
    if error.detail in ("a field is empty", "this browser is not signed in to CVAT"):
        return f"{error.detail[0].upper()}{error.detail[1:]}."
    if way == "token":
        return (
            "CVAT does not know this access token: it is mistyped, revoked or past its last day. "
            "Make a new one in CVAT under Profile, Security, Access tokens."
        )
    return "The user name or the password is wrong."


def _form(
    page: Page, request: Request, back: str, words: str, *, status: int = 200, username: str = ""
) -> Response:
    values: dict[str, Any] = {
        "back": page.own_path(back),
        "words": words,
        "username": username,
        "known_to_cvat": bool(request.cookies.get(CVAT_COOKIE)),
        "cvat_url": cvat_address(page.config),
    }
    return render(page, request, "signin.html", status=status, **values)
