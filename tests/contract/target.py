"""A webhook target that answers as the recorded one did."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_STATUS = {"/fail": 500, "/bad": 400}


@dataclass
class Target:
    """Where webhooks go, and what has come: headers and raw body of each delivery."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def bodies(self) -> list[Any]:
        """Return the parsed bodies in the order they came."""
        return [json.loads(content) for _, content in list(self.received)]


@contextmanager
def listening() -> Iterator[Target]:
    """Answer 200, but 500 at /fail, 400 at /bad and a redirect at /redir."""
    target = Target("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            target.received.append((dict(self.headers), content))
            redirected = self.path == "/redir"
            self.send_response(302 if redirected else _STATUS.get(self.path, 200))
            if redirected:
                self.send_header("Location", "/hook")
            answer = b'{"ok":true}'
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    target.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        server.server_close()
