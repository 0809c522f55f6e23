"""The function queue that only CVAT's Enterprise and Online editions have, before a Community one.

A proxy: what agents ask of functions and their queues is answered here, as cvat-cli's agent
expects it; everything else goes on to the server behind.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

_DROPPED = {"transfer-encoding", "content-encoding", "content-length", "connection"}


@dataclass
class Enterprise:
    """Where agents connect; functions made, requests that wait, and what agents answered."""

    url: str = ""
    functions: dict[int, dict[str, Any]] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    completed: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, Any] = field(default_factory=dict)

    def answer(self, method: str, path: str, body: Any) -> Any:
        """Answer one of the functions' routes; KeyError for those there are not."""
        parts = path.removeprefix("/api/functions").strip("/").split("/")
        if method == "POST" and parts == [""]:
            number = len(self.functions) + 1
            self.functions[number] = {**body, "id": number}
            return self.functions[number]
        if method == "GET" and len(parts) == 1:
            return self.functions[int(parts[0])]
        *_, request, action = parts
        if action == "acquire":
            kind = body["request_category"]
            ready = [one for one in self.waiting if one["category"] == kind]
            if not ready:
                return {"ar_assignment": None}
            self.waiting.remove(ready[0])
            return {"ar_assignment": {key: ready[0][key] for key in ("ar_id", "ar_params")}}
        {"complete": self.completed, "fail": self.failed, "update": {}}[action][request] = body
        return {}


@contextmanager
def enterprise(server: str) -> Iterator[Enterprise]:
    """Stand before a server."""
    found = Enterprise()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/api/functions"):
                body = json.loads(content) if content else None
                answer = json.dumps(found.answer(self.command, self.path, body)).encode()
                self.reply(200, {"Content-Type": "application/json"}, answer)
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            through = requests.request(
                self.command, server + self.path, data=content, headers=headers,
                timeout=30, allow_redirects=False,
            )  # fmt: skip
            self.reply(through.status_code, dict(through.headers), through.content)

        do_GET = do_POST = do_HEAD = handle_any  # noqa: N815 - http.server's names

        def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in _DROPPED:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        listener.shutdown()
        listener.server_close()
