"""Calls on a busy machine: questions are asked again and that is told; writes are not repeated."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from cvat_bridge.demo.calls import Calls


class Server:
    """Answers with the given statuses, one a call; "late" is an answer that comes too late."""

    def __init__(self) -> None:
        self.answers: list[int | str] = []
        self.heard: list[str] = []
        self.url = ""


@pytest.fixture
def server() -> Iterator[Server]:
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            told.heard.append(f"{self.command} {self.path}")
            status = told.answers.pop(0)
            if status == "late":
                time.sleep(0.6)
            self.send_response(200 if status == "late" else int(status))
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def do_POST(self) -> None:
            self.do_GET()

        def do_PATCH(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{http.server_address[1]}"
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield told
    http.shutdown()
    http.server_close()


def calls(server: Server, said: list[str], seconds: float = 30.0) -> Calls:
    return Calls(server.url, on_retry=said.append, seconds=seconds, tries=3, pause=0.01)


def test_a_question_is_asked_again_and_each_time_is_told(server):
    said: list[str] = []
    server.answers = [503, 502, 200]

    assert calls(server, said).get("/api/jobs", page=2).json() == {}

    assert server.heard == ["GET /api/jobs?page=2"] * 3
    assert [sentence.split(": ", 1)[1].split(";")[0] for sentence in said] == [
        "status 503",
        "status 502",
    ]
    assert "try 3 of 3" in said[1]


def test_an_answer_that_comes_too_late_is_no_end(server):
    said: list[str] = []
    server.answers = ["late", 200]

    answer = calls(server, said, seconds=0.2).ask("/api/lambda/functions/f", {"frame": 1})

    assert answer.status_code == 200
    assert len(said) == 1 and "no answer (ReadTimeout)" in said[0]


def test_a_server_that_stays_away_ends_it_with_its_own_error(server):
    said: list[str] = []
    server.answers = [503, 503, 503]

    with pytest.raises(httpx.HTTPStatusError, match="503"):
        calls(server, said).get("/")

    assert len(said) == 2


def test_a_refusal_is_not_asked_again(server):
    said: list[str] = []
    server.answers = [404]

    with pytest.raises(httpx.HTTPStatusError, match="404"):
        calls(server, said).get("/")

    assert said == []


def test_a_write_is_never_repeated(server):
    said: list[str] = []
    server.answers = [503, 200]

    with pytest.raises(httpx.HTTPStatusError, match="503"):
        calls(server, said).send("/api/jobs/1/annotations?action=create", {"shapes": []})

    assert server.heard == ["PATCH /api/jobs/1/annotations?action=create"]
