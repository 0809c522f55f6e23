"""A function host with the toy models that the recorded server had."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

_LABELS = [
    {"name": "car", "type": "rectangle",
     "attributes": [{"name": "conf", "input_type": "text", "values": []}]},
    {"name": "tree", "type": "mask"},
    {"name": "road", "type": "polygon"},
    {"name": "scene", "type": "tag"},
]  # fmt: skip
_KINDS: dict[str, dict[str, str]] = {
    "toy-detector": {"name": "Toy detector", "type": "detector", "version": "1",
                     "spec": json.dumps(_LABELS)},
    "toy-interactor": {"name": "Toy interactor", "type": "interactor", "version": "2", "spec": "",
                       "min_pos_points": "4", "min_neg_points": "-1",
                       "help_message": "Put 4 extreme points", "animated_gif": ""},
    "toy-shapes-interactor": {"name": "Toy shapes interactor", "type": "interactor",
                              "version": "2", "spec": "", "min_pos_points": "1"},
    "toy-odd-detector": {"name": "Toy odd detector", "type": "detector", "version": "1",
                         "spec": json.dumps(_LABELS)},
    "toy-box-interactor": {"name": "Toy box interactor", "type": "interactor", "version": "2",
                           "spec": "", "min_pos_points": "0", "min_neg_points": "0",
                           "startswith_box_optional": "true", "help_message": "clicks and/or box"},
}  # fmt: skip


def described(name: str) -> dict[str, Any]:
    """Return a function as Nuclio's dashboard does."""
    return {
        "metadata": {"name": name, "namespace": "nuclio", "annotations": _KINDS[name]},
        "spec": {"description": "fixed rectangle + mask + polygon + tag"},
        "status": {"state": "ready", "httpPort": 8070},
    }


def _detected(width: int, height: int) -> list[dict[str, Any]]:
    left, top = int(width * 0.6), int(height * 0.6)
    bitmap = [1] * 40 + [1, 1, 1, 1, 1, 0, 0, 0, 0, 0] * 4
    return [
        {"confidence": "0.91", "label": "car", "type": "rectangle",
         "points": [width * 0.1, height * 0.1, width * 0.4, height * 0.4],
         "attributes": [{"name": "conf", "value": "0.91"}]},
        {"confidence": "0.83", "label": "tree", "type": "mask",
         "points": [left, top, left + 9, top, left + 9, top + 7, left, top + 7],
         "mask": [*bitmap, left, top, left + 9, top + 7]},
        {"confidence": "0.77", "label": "road", "type": "polygon",
         "points": [width * 0.5, height * 0.1, width * 0.9, height * 0.1, width * 0.9,
                    height * 0.4]},
        {"confidence": "0.66", "label": "scene", "type": "tag"},
        {"confidence": "0.55", "label": "unknown-label", "type": "rectangle",
         "points": [1, 1, 5, 5]},
    ]  # fmt: skip


def _circles(x: float, y: float) -> list[dict[str, Any]]:
    found = []
    for radius, confidence in ((8, "0.95"), (4, "0.40")):
        steps = range(-radius, radius + 1)
        bits = [int(dx * dx + dy * dy <= radius * radius) for dy in steps for dx in steps]
        runs, value, length = [], 0, 0
        for bit in [*bits, -1]:
            if bit == value:
                length += 1
            else:
                runs.append(length)
                value, length = bit, 1
        box = [x - radius, y - radius, x + radius, y + radius]
        found.append(
            {
                "type": "mask",
                "points": [*runs, *box],
                "attributes": [{"spec_id": 0, "value": confidence}],
            }
        )
    return found


@dataclass
class Host:
    """Where the host listens, and what it was asked: headers and body of each invocation."""

    url: str
    invoked: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


@contextmanager
def hosting() -> Iterator[Host]:
    """Serve the toy models over the three routes of Nuclio's dashboard."""
    host = Host("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/api/functions").strip("/")
            if not name:
                self._answer(200, {one: described(one) for one in _KINDS})
            elif name in _KINDS:
                self._answer(200, described(name))
            else:
                self._answer(404, {"error": "Function not found"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            host.invoked.append((dict(self.headers), body))
            with Image.open(io.BytesIO(base64.b64decode(body["image"]))) as image:
                width, height = image.size
            if self.headers["x-nuclio-function-name"] == "toy-detector":
                self._answer(200, _detected(width, height))
            elif self.headers["x-nuclio-function-name"] == "toy-shapes-interactor":
                self._answer(200, {"shapes": _circles(*body["pos_points"][0])})
            else:
                self._answer(200, {"mask": [[0] * width for _ in range(height)]})

        def _answer(self, status: int, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
