"""CVAT asked as the person who is signed in: who they are, what they see, what they may change.

The bridge's own account sees more than a person does, so what a person may see is never asked
with it.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from cvat_bridge.cvat.rest.certificates import certificate_fault, readable_bundle
from cvat_bridge.cvat.rest.refusals import RequestFailure, detail_of, refusal
from cvat_bridge.errors import AuthenticationError, GatewayError, NotFoundError

SECONDS = 10.0  # a person waits
_PAGE = 100
_JSON = {"Accept": "application/vnd.cvat+json, application/json"}
_HEADER_VALUE = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,4096}")  # what a header or cookie can carry


@dataclass(frozen=True)
class Credentials:
    """How CVAT knows a person: the cookies of a session, or a personal access token."""

    kind: Literal["session", "token"]
    value: str
    csrf: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.kind!r})"


@dataclass(frozen=True)
class Person:
    """A CVAT account as it sees itself. read_only: of the token that was given."""

    id: int
    username: str
    name: str
    is_admin: bool
    works_only: bool  # CVAT's global role "worker"
    read_only: bool


@dataclass(frozen=True)
class SeenProject:
    """A project as CVAT shows it to a person. refusal: why they may only look, "" where not."""

    id: int
    name: str
    organization: int | None
    refusal: str


class PersonalCvat:
    """Asks a server with the credentials of whoever is signed in; holds none itself."""

    def __init__(
        self, url: str, *, ca_bundle: Path | None = None, seconds: float = SECONDS
    ) -> None:
        self.url = url.rstrip("/")
        trusted = None if ca_bundle is None else str(readable_bundle(ca_bundle))
        self._verify = ssl.create_default_context(cafile=trusted)
        self._bundle, self._seconds = ca_bundle, seconds

    def sign_in(self, username: str, password: str) -> Credentials:
        """Open a session; AuthenticationError for a wrong name or password."""
        body = {"username": username, "password": password}
        answer = self._send("POST", "/api/auth/login", "sign in as", username, body=body)
        session = answer.cookies.get("sessionid")
        if not session:
            raise GatewayError(
                "sign in as",
                username,
                answer.status_code,
                "CVAT opened no session",
                "Sign in with a personal access token instead",
            )
        return Credentials("session", session, answer.cookies.get("csrftoken") or "")

    def sign_out(self, credentials: Credentials) -> None:
        """End a session that sign_in opened."""
        self._send("POST", "/api/auth/logout", "sign out", "the session", credentials)

    def who(self, credentials: Credentials) -> Person:
        """Say whose credentials these are; AuthenticationError when they are good no more."""
        user = self._json("/api/users/self", "the account", credentials)
        groups = set(user.get("groups") or ())
        is_admin = bool(user.get("is_superuser")) or "admin" in groups
        name = " ".join(str(user.get(part) or "") for part in ("first_name", "last_name")).strip()
        return Person(
            id=int(user["id"]),
            username=str(user["username"]),
            name=name or str(user["username"]),
            is_admin=is_admin,
            works_only=not is_admin and "user" not in groups,
            read_only=credentials.kind == "token" and self._reads_only(credentials),
        )

    def projects(self, credentials: Credentials, person: Person) -> tuple[SeenProject, ...]:
        """Return every project that CVAT shows this person, by rising id."""
        rows, number, roles = [], 1, dict[int, str]()
        while True:
            query = {"page": number, "page_size": _PAGE, "sort": "id"}
            page = self._json("/api/projects", "the projects", credentials, query)
            rows += page["results"]
            if not page.get("next"):
                break
            number += 1
        return tuple(self._seen(row, credentials, person, roles) for row in rows)

    def project(self, credentials: Credentials, person: Person, project_id: int) -> SeenProject:
        """Return one project; NotFoundError where it is gone or not shown to this person."""
        subject = f"project {project_id}"
        try:
            row = self._json(f"/api/projects/{project_id}", subject, credentials)
        except AuthenticationError as error:
            if error.status != 403:
                raise
            raise NotFoundError("read", subject, 403, "it is not shown to this account") from error
        return self._seen(row, credentials, person, {})

    def _seen(
        self,
        row: Mapping[str, Any],
        credentials: Credentials,
        person: Person,
        roles: dict[int, str],
    ) -> SeenProject:
        """Apply the rules by which CVAT lets a person change a project (its projects.rego)."""
        organization = row.get("organization_id", row.get("organization"))
        staff = {(row.get(who) or {}).get("id") for who in ("owner", "assignee")}
        refused = ""
        if person.read_only:
            refused = "your access token is read-only"
        elif not (person.is_admin or person.id in staff):
            role = self._role(organization, credentials, person, roles)
            if role not in ("owner", "maintainer") or person.works_only:
                refused = (
                    "CVAT lets its owner, its assignee and maintainers of its organization change "
                    "this project"
                )
        return SeenProject(int(row["id"]), str(row["name"]), organization, refused)

    def _role(
        self,
        organization: int | None,
        credentials: Credentials,
        person: Person,
        roles: dict[int, str],
    ) -> str:
        if organization is None:
            return ""
        if organization not in roles:
            query = {"org_id": organization, "user": person.username, "page_size": 10}
            page = self._json("/api/memberships", "your role", credentials, query)
            own = [m for m in page["results"] if (m.get("user") or {}).get("id") == person.id]
            roles[organization] = next((str(m["role"]) for m in own if m.get("is_active")), "")
        return roles[organization]

    def _reads_only(self, credentials: Credentials) -> bool:
        return bool(
            self._json("/api/auth/access_tokens/self", "the access token", credentials)["read_only"]
        )

    def _json(
        self,
        path: str,
        subject: str,
        credentials: Credentials,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        answer = self._send("GET", path, "read", subject, credentials, query=query)
        try:
            return answer.json()
        except ValueError:
            raise GatewayError(
                "read",
                subject,
                answer.status_code,
                "the answer is no JSON",
                "Is cvat.url the address of a CVAT server?",
            ) from None

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        subject: str,
        credentials: Credentials | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
    ) -> httpx.Response:
        headers = dict(_JSON)
        if credentials is not None:
            held = (credentials.value, credentials.csrf or "-")
            if not all(_HEADER_VALUE.fullmatch(one) for one in held):
                raise AuthenticationError(doing, subject, 401, "these are no credentials of CVAT")
            if credentials.kind == "token":
                headers["Authorization"] = f"Bearer {credentials.value}"
            else:
                cookie = f"sessionid={credentials.value}"
                headers["Cookie"] = f"{cookie}; csrftoken={credentials.csrf}"
                headers["X-CSRFToken"] = credentials.csrf
                headers["Referer"] = self.url  # Django asks for it over https
        try:
            answer = httpx.request(
                method,
                self.url + path,
                params=query,
                json=body,
                headers=headers,
                timeout=self._seconds,
                verify=self._verify,
                follow_redirects=False,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = certificate_fault(str(error), self.url, self._bundle) or ""
            failure = RequestFailure(None, type(error).__name__, certificate=fault)
            raise refusal(doing, subject, failure, writes=False, read_only=None) from error
        if answer.is_success:
            return answer
        failure = RequestFailure(answer.status_code, detail_of(answer.content))
        if credentials is None and answer.status_code == 400:
            raise AuthenticationError(doing, subject, 400, "the user name or password is wrong")
        raise refusal(doing, subject, failure, writes=False, read_only=None)
