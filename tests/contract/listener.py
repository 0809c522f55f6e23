"""A small HTTP server: it stands for a function host, and keeps what webhooks deliver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FUNCTIONS = {
    "spots": {
        "metadata": {
            "name": "spots",
            "annotations": {
                "name": "Spots",
                "type": "detector",
                "spec": '[{"name": "cell", "type": "rectangle", "attributes": []}]',
            },
        },
        "spec": {"description": "finds spots"},
        "status": {"state": "ready", "httpPort": 1},
    }
}


@dataclass
class Listener:
    """Where it listens, and what came: headers in lower case, and the raw body."""

    url: str
    received: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)


@contextmanager
def listening(host: str = "127.0.0.1") -> Iterator[Listener]:
    """Run a listener on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, FUNCTIONS if self.path == "/api/functions" else {})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            listener.received.append((headers, body))
            self._answer(200, {"ok": True})

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer((host, 0), Handler)
    listener = Listener(f"http://{host}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
