"""What one caller may hold open: connections, heads that come slowly, answers that nobody reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import uvicorn
from h11 import IDLE
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True)
class Bounds:
    """Limits of a web server's connections.

    connections: open at once; one more is answered 503 and closed. per_caller: of one address.
    head_seconds: until request line and headers are complete, else 408. head_bytes: of both, else
    431, or 400 where they go on beyond it. headers: their number, else 431. target_bytes: of the
    URL's path and query, else 414. unread_seconds: how long an answer waits for a reader that takes
    nothing of it.
    """

    connections: int = 512
    per_caller: int = 256
    head_seconds: float = 10.0
    head_bytes: int = 32 << 10
    headers: int = 100
    target_bytes: int = 8 << 10
    unread_seconds: float = 60.0


def server(app: ASGIApp, bounds: Bounds, **options: Any) -> uvicorn.Server:
    """Return a server of this application under the bounds. options: of uvicorn.Config."""

    class Bounded(_Bounded):
        limits = bounds

    # uvicorn's own reading of HTTP; its other one, where installed, knows no limit of a head.
    config = uvicorn.Config(
        HeadBounds(app, bounds),
        http=Bounded,
        h11_max_incomplete_event_size=bounds.head_bytes,
        log_level="warning",
        access_log=False,
        **options,
    )
    return uvicorn.Server(config)


@dataclass(frozen=True)
class HeadBounds:
    """Refuse requests whose URL or headers are more than a caller needs."""

    app: ASGIApp
    bounds: Bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; as ASGI calls it."""
        if scope["type"] == "http" and (refused := self._refused(scope)):
            await refused(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _refused(self, scope: Scope) -> JSONResponse | None:
        bounds, headers = self.bounds, scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > bounds.target_bytes:
            return _refusal(414, f"the URL is longer than {bounds.target_bytes} bytes")
        if len(headers) > bounds.headers:
            return _refusal(431, f"there are {len(headers)} headers; {bounds.headers} are taken")
        if sum(len(name) + len(value) for name, value in headers) > bounds.head_bytes:
            return _refusal(431, f"the headers are larger than {bounds.head_bytes} bytes")
        return None


def _refusal(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status, {"connection": "close"})


class _Bounded(H11Protocol):
    """One connection. uvicorn itself waits without end for a head and for a reader."""

    limits: Bounds
    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        caller = self.client[0] if self.client else ""
        held = [
            one.client[0] if one.client else ""
            for one in self.connections
            if isinstance(one, H11Protocol) and not one.transport.is_closing()
        ]
        if len(held) > self.limits.connections:
            self._refuse(b"503 Service Unavailable", "too many connections; try again")
        elif held.count(caller) > self.limits.per_caller:
            self._refuse(b"503 Service Unavailable", "too many connections of your address")
        else:
            self._head = self.loop.call_later(self.limits.head_seconds, self._late)

    def data_received(self, data: bytes) -> None:
        """Take what came; a head that has begun must be complete in time."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        waits = self.conn.their_state is IDLE and not self.transport.is_closing()
        if not waits:
            _cancel(self._head)
            self._head = None
        elif self._head is None:
            self._head = self.loop.call_later(self.limits.head_seconds, self._late)

    def pause_writing(self) -> None:
        """Wait for the reader of an answer, but not for ever."""
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        """Go on: the reader reads."""
        super().resume_writing()
        _cancel(self._reader)
        self._reader = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        _cancel(self._head)
        _cancel(self._reader)
        self._head = self._reader = None
        super().connection_lost(exc)

    def _await_reader(self) -> None:
        left = self.transport.get_write_buffer_size()

        def look() -> None:
            if self.transport.get_write_buffer_size() < left:
                self._await_reader()
            else:
                self.transport.abort()

        self._reader = self.loop.call_later(self.limits.unread_seconds, look)

    def _late(self) -> None:
        self._head = None
        self._refuse(
            b"408 Request Timeout",
            f"the request's headers did not come within {self.limits.head_seconds:g} s",
        )

    def _refuse(self, status: bytes, why: str) -> None:
        body = b'{"error":"' + why.encode() + b'"}'
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\ncontent-type: application/json\r\nconnection: close\r\n"
            b"content-length: " + str(len(body)).encode() + b"\r\n\r\n" + body
        )
        self.transport.close()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
