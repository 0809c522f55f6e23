"""A real Nuclio behind the function host: its functions join ours, its calls pass through."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from serverless.errors import UpstreamError
from serverless.store.describe import faults_in
from trainer.terminal import HIDDEN, without_credentials

_LIST_SECONDS = 10.0
_HOP = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})


@dataclass(frozen=True)
class Upstream:
    """The dashboard of a Nuclio. url: where it listens. client: shared by all calls."""

    url: str
    client: httpx.AsyncClient

    @property
    def shown(self) -> str:
        """The address without user and password, for everything that people read."""
        return without_credentials(self.url)

    async def functions(
        self, headers: Mapping[str, str]
    ) -> tuple[dict[str, dict[str, Any]], dict[str, list[str]]]:
        """Return its functions that CVAT can read, and for the others why they are held back.

        Raises UpstreamError when the list cannot be had.
        """
        try:
            reply = await self.client.get(
                f"{self.url}/api/functions", headers=_forward(headers), timeout=_LIST_SECONDS
            )
            reply.raise_for_status()
            content = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._error(f"its list cannot be read: {error!r}") from error
        if not isinstance(content, dict):
            raise self._error(f"its list is no object: {type(content).__name__}")
        faults = {name: faults_in(name, function) for name, function in content.items()}
        good = {name: function for name, function in content.items() if not faults[name]}
        return good, {name: found for name, found in faults.items() if found}

    async def invoke(self, body: bytes, headers: Mapping[str, str], *, seconds: float) -> Reply:
        """Pass a call on and return what came back, whatever its status.

        Raises UpstreamError when nothing came back.
        """
        try:
            reply = await self.client.post(
                f"{self.url}/api/function_invocations",
                content=body,
                headers=_forward(headers),
                timeout=seconds,
            )
        except httpx.HTTPError as error:
            raise self._error(f"the call failed: {error!r}") from error
        return Reply(
            reply.status_code,
            self._without_password(reply.content) if reply.is_error else reply.content,
            reply.headers.get("content-type", "application/json"),
        )

    def _without_password(self, body: bytes) -> bytes:
        """Return an error of its without what we signed in with: some print what they were sent."""
        known = httpx.URL(self.url)
        if not known.password:
            return body
        signed = base64.b64encode(f"{known.username}:{known.password}".encode())
        for secret in (signed, known.password.encode()):
            body = body.replace(secret, HIDDEN.encode())
        return body

    def _error(self, reason: str) -> UpstreamError:
        return UpstreamError(self.shown, without_credentials(reason))


@dataclass(frozen=True)
class Reply:
    """What came back of a call."""

    status: int
    body: bytes
    content_type: str


def _forward(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _HOP}
