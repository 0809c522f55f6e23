"""An HTTP server on a free port whose answers a test writes as a function.

with scripted(lambda request: Answer(503)) as server: ...
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

HOP_BY_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "host"}


@dataclass(frozen=True)
class Asked:
    """What a client sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What it gets. body: bytes as they are, anything else as JSON. hang_up: no answer at all."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang_up: bool = False


@dataclass
class Scripted:
    """A running server: its address and what it was asked, in order."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def count(self, method: str, path: str) -> int:
        """Count the requests of a method and path."""
        return sum(1 for one in self.asked if (one.method, one.path) == (method, path))


@contextmanager
def scripted(answer: Callable[[Asked], Answer]) -> Iterator[Scripted]:
    """Serve in a thread until the end."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            split = urlsplit(self.path)
            asked = Asked(
                self.command,
                split.path,
                dict(parse_qsl(split.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length") or 0)),
            )
            server.asked.append(asked)
            given = answer(asked)
            if given.hang_up:
                self.close_connection = True
                return
            raw = isinstance(given.body, bytes)
            content = given.body if raw else json.dumps(given.body).encode()
            headers = {"Content-Type": "text/html" if raw else "application/json"}
            self.send_response(given.status)
            for name, value in {**headers, **given.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 - http.server's

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server = Scripted(f"http://127.0.0.1:{http.server_address[1]}")
    thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join(10)


def forwarded(url: str, asked: Asked) -> Answer:
    """Ask another server the same and give its answer."""
    headers = {name: value for name, value in asked.headers.items() if name not in HOP_BY_HOP}
    answer = requests.request(
        asked.method,
        url + asked.path,
        params=dict(asked.query),
        headers=headers,
        data=asked.body,
        timeout=60,
        allow_redirects=False,
    )
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
    return Answer(answer.status_code, answer.content, kept)
