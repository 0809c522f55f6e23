"""One request on its way through a route, and the answers a route can give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.store.state import Db, Row, State
from cvat_bridge.sandbox.web.errors import ApiError


@dataclass(frozen=True)
class Upload:
    """A file that came in a multipart form."""

    field: str
    filename: str
    content: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back: JSON unless content is given, or the file at path."""

    status: int = 200
    body: Any = None
    content: bytes | None = None
    path: Path | None = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    """A request, who sent it, and what it changed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    form: Mapping[str, str] | None
    files: tuple[Upload, ...]
    base_url: str
    state: State
    account: Row | None = None
    token: Row | None = None
    session_key: str | None = None
    after: list[Callable[[], None]] = field(default_factory=list)
    background: bool = False

    @property
    def db(self) -> Db:
        """Return this thread's connection."""
        return self.state.db

    @property
    def user(self) -> Row:
        """Return the account that asks; ApiError 401 when nobody is signed in."""
        if self.account is None:
            raise ApiError(401, {"detail": "Authentication credentials were not provided."})
        return self.account

    @property
    def is_admin(self) -> bool:
        """Return whether the account may do everything."""
        return "admin" in json.loads(self.user["groups"])

    def url(self, path: str) -> str:
        """Return the full address of a path of ours, by the Host the caller used."""
        return f"{self.base_url}{path}"

    def json(self) -> Any:
        """Return the parsed body; ApiError when it is not what a route can read."""
        if self.form is not None:
            return dict(self.form)
        if not self.content:
            return {}
        kind = self.headers.get("content-type", "").split(";")[0].strip()
        if kind not in {"application/json", "application/vnd.cvat+json", ""}:
            raise ApiError(415, {"detail": f'Unsupported media type "{kind}" in request.'})
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise ApiError(400, {"detail": f"JSON parse error - {error}"}) from error

    def only_json(self) -> Any:
        """Return the parsed body of a route that takes no forms."""
        if self.form is not None:
            kind = self.headers.get("content-type", "").split(";")[0]
            raise ApiError(415, {"detail": f'Unsupported media type "{kind}" in request.'})
        return self.json()

    def fields(self) -> dict[str, Any]:
        """Return the body as an object; ApiError when it is something else."""
        body = self.json()
        if not isinstance(body, dict):
            kind = type(body).__name__
            text = f"Invalid data. Expected a dictionary, but got {kind}."
            raise ApiError(400, {"non_field_errors": [text]})
        return body


Handler = Callable[..., Answer]


@dataclass(frozen=True)
class Route:
    """A method and path pattern (`{name:int}` or `{name}`) and what answers it.

    atomic: the whole handler is one transaction; without it the handler opens its own, so that
    slow work does not keep other writers waiting. public: no sign-in needed.
    """

    method: str
    pattern: str
    handler: Handler
    atomic: bool = True
    public: bool = False
