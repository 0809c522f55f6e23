"""Requests to CVAT: what is repeated, for how long, and what a refusal says."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.rest.chunks import ChunkCache
from cvat_bridge.cvat.rest.connection import Connection, Password
from cvat_bridge.cvat.rest.retries import Patience
from cvat_bridge.errors import (
    AuthenticationError,
    ConfigError,
    GatewayError,
    NotFoundError,
    UnreachableError,
    UnsupportedError,
)
from tests.fakes.scripted import Answer, Asked, Scripted, scripted

ABOUT = {"name": "Computer Vision Annotation Tool", "version": "2.73.0"}
PROJECT = {"id": 7, "name": "cells", "owner": None, "updated_date": "2026-01-01T00:00:00Z"}
HTML_500 = b"<!doctype html><title>Server Error (500)</title><h1>Server Error (500)</h1>"


class Clock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@contextmanager
def a_line(
    server: Scripted, folder: Path, *, clock: Clock, total: float = 100.0, timeout: float = 5.0
) -> Iterator[Connection]:
    patience = Patience(total=total, clock=lambda: clock.now, sleep=clock.sleep)
    line = Connection(
        server.url,
        token="secret",
        password=None,
        organization=None,
        timeout=timeout,
        patience=patience,
        page_size=50,
        cache_dir=folder,
    )
    try:
        yield line
    finally:
        line.close()


class Replies:
    """Answers one after the other; the last one stays."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)

    def __call__(self, asked: Asked) -> Answer:
        del asked
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize("status", [408, 409, 429, 502, 503, 504])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_what_may_be_repeated_is_repeated(tmp_path: Path, status: int, method: str):
    """Two passing faults and then an answer: three requests, the waits growing."""
    clock = Clock()
    replies = Replies(Answer(status), Answer(status), Answer(200, {"well": True}))
    with scripted(replies) as server, a_line(server, tmp_path, clock=clock) as line:
        answer = line.call(method, "/api/jobs/1", "change", "job 1", body={"state": "new"})

        assert answer == {"well": True}
        assert [one.method for one in server.asked] == [method] * 3
    assert len(clock.waits) == 2
    assert clock.waits[0] < clock.waits[1]


def test_people_are_told_that_cvat_does_not_answer_and_how_long_it_is_tried(tmp_path, caplog):
    """The first half second passes in silence; then a line a wait, with the time left."""
    clock = Clock()
    replies = Replies(*[Answer(503, b"starting")] * 5, Answer(200, {"well": True}))
    with scripted(replies) as server, a_line(server, tmp_path, clock=clock) as line:
        line.get("/api/jobs/1", "job 1")
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]

    assert told[0].startswith("CVAT does not answer (503: starting); trying again, 9")
    assert told[0].endswith(" s left")
    assert 2 <= len(told) < len(clock.waits) == 5


def test_making_something_is_not_repeated_where_it_may_have_been_done(tmp_path: Path):
    clock = Clock()
    with (
        scripted(Replies(Answer(502, HTML_500))) as server,
        a_line(server, tmp_path, clock=clock) as line,
    ):
        with pytest.raises(UnreachableError, match="make task 'x'.*502"):
            line.call("POST", "/api/tasks", "make", "task 'x'", body={}, repeatable=False)

        assert len(server.asked) == 1


def test_making_something_is_repeated_where_it_was_surely_not_done(tmp_path: Path):
    """429 means that CVAT did nothing."""
    clock = Clock()
    replies = Replies(Answer(429), Answer(201, {"id": 3}))
    with scripted(replies) as server, a_line(server, tmp_path, clock=clock) as line:
        made = line.call("POST", "/api/tasks", "make", "task 'x'", body={}, repeatable=False)

    assert made == {"id": 3}


def test_retry_after_is_honoured(tmp_path: Path):
    """Data that takes long to prepare: CVAT asks for 10 seconds and gets them."""
    clock = Clock()
    replies = Replies(Answer(429, headers={"Retry-After": "10"}), Answer(200, {}))
    with scripted(replies) as server, a_line(server, tmp_path, clock=clock) as line:
        line.get("/api/jobs/1", "job 1")

    assert clock.waits == [10.0]


def test_patience_ends(tmp_path: Path):
    """A server that stays broken is given up within the time one operation may take."""
    clock = Clock()
    with (
        scripted(Replies(Answer(503, b"busy"))) as server,
        a_line(server, tmp_path, clock=clock, total=60) as line,
        pytest.raises(UnreachableError, match="read job 1: CVAT answered 503: busy"),
    ):
        line.get("/api/jobs/1", "job 1")

    assert 30 < sum(clock.waits) < 60


def test_a_wait_longer_than_patience_is_not_begun(tmp_path: Path):
    clock = Clock()
    replies = Replies(Answer(429, headers={"Retry-After": "600"}))
    with (
        scripted(replies) as server,
        a_line(server, tmp_path, clock=clock, total=60) as line,
        pytest.raises(UnreachableError),
    ):
        line.get("/api/jobs/1", "job 1")

    assert clock.waits == []


def test_a_dropped_connection_is_a_passing_fault(tmp_path: Path):
    clock = Clock()
    replies = Replies(Answer(hang_up=True), Answer(200, {"well": True}))
    with scripted(replies) as server, a_line(server, tmp_path, clock=clock) as line:
        assert line.get("/api/jobs/1", "job 1") == {"well": True}


def test_a_server_that_says_nothing_is_left(tmp_path: Path):
    """A request that gets no answer ends after the timeout, and is repeated."""
    clock = Clock()
    silent = threading.Event()

    def answer(asked: Asked) -> Answer:
        if len(server.asked) == 1:
            silent.wait(20)
        return Answer(200, {"path": asked.path})

    with scripted(answer) as server, a_line(server, tmp_path, clock=clock, timeout=0.2) as line:
        assert line.get("/api/jobs/1", "job 1") == {"path": "/api/jobs/1"}
        silent.set()


def test_no_server_at_all_names_the_address(tmp_path: Path):
    with (
        connect("http://127.0.0.1:1", token="secret", cache_dir=tmp_path, patience=0.1) as gateway,
        pytest.raises(UnreachableError, match="no answer") as refused,
    ):
        gateway.project(7)

    assert "127.0.0.1" in refused.value.detail
    assert refused.value.status is None


def test_a_server_fault_is_told_in_a_line(tmp_path: Path):
    """Of CVAT's HTML page only the title is told, after a few tries."""
    clock = Clock()
    with (
        scripted(Replies(Answer(500, HTML_500))) as server,
        a_line(server, tmp_path, clock=clock) as line,
    ):
        with pytest.raises(UnreachableError, match=r"HTML page: Server Error \(500\)") as refused:
            line.get("/api/labels", "labels of task 9")

        assert len(server.asked) == 3
    assert "doctype" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, GatewayError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (405, UnsupportedError),
        (410, UnsupportedError),
    ],
)
def test_refusals_are_named_and_not_repeated(
    tmp_path: Path, status: int, error: type[GatewayError]
):
    clock = Clock()
    with (
        scripted(Replies(Answer(status, {"detail": "No."}))) as server,
        a_line(server, tmp_path, clock=clock) as line,
    ):
        with pytest.raises(GatewayError, match="read job 5: CVAT answered .*: No") as refused:
            line.get("/api/jobs/5", "job 5")

        assert type(refused.value) is error
        assert (refused.value.operation, refused.value.subject) == ("read", "job 5")
        assert refused.value.status == status
        assert len(server.asked) == 1


def test_a_refused_write_with_a_read_only_token_says_so(tmp_path: Path):
    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/auth/access_tokens/self":
            return Answer(200, {"id": 1, "read_only": True})
        return Answer(403, {"detail": "You do not have permission to perform this action."})

    clock = Clock()
    with scripted(answer) as server, a_line(server, tmp_path, clock=clock) as line:
        with pytest.raises(AuthenticationError, match="read-only") as write:
            line.call("PATCH", "/api/jobs/1", "change", "job 1", body={})
        with pytest.raises(AuthenticationError) as read:
            line.get("/api/jobs/1", "job 1")

    assert "read_only" in write.value.advice
    assert "read-only" not in read.value.advice


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200, {"id": 1, "read_only": False}), False),
        (Answer(200, {"id": 1, "read_only": True}), True),
        (Answer(404, {"detail": "Not found."}), None),
    ],
)
def test_what_a_token_may_do_is_told_as_far_as_the_server_tells(
    tmp_path: Path, answer: Answer, expected: bool | None
):
    def answered(asked: Asked) -> Answer:
        if asked.path == "/api/users/self":
            return Answer(200, {"id": 4, "username": "bot", "groups": ["user"]})
        return answer

    with scripted(answered) as server, a_client(server, tmp_path) as gateway:
        assert gateway.identity().read_only is expected


def test_not_learning_what_a_token_may_do_is_an_error(tmp_path: Path):
    def answered(asked: Asked) -> Answer:
        if asked.path == "/api/users/self":
            return Answer(200, {"id": 4, "username": "bot"})
        return Answer(503)

    with (
        scripted(answered) as server,
        a_client(server, tmp_path) as gateway,
        pytest.raises(UnreachableError),
    ):
        gateway.identity()


def test_another_page_than_cvats_is_recognised(tmp_path: Path):
    clock = Clock()
    with (
        scripted(Replies(Answer(200, b"<html>Welcome</html>"))) as server,
        a_line(server, tmp_path, clock=clock) as line,
        pytest.raises(GatewayError, match="text/html.*address of a CVAT"),
    ):
        line.get("/api/server/about", "the server's version")


def test_a_redirect_names_where_it_leads(tmp_path: Path):
    """Following it would turn a POST into a GET."""
    clock = Clock()
    moved = Answer(301, headers={"Location": "https://cvat.example/api/projects/7"})
    with (
        scripted(Replies(moved)) as server,
        a_line(server, tmp_path, clock=clock) as line,
        pytest.raises(GatewayError, match=r"https://cvat\.example"),
    ):
        line.get("/api/projects/7", "project 7")


@pytest.mark.parametrize("version", ["2.48.0", "2.62.3", "2.73.0", "2.74.0-dev", "2.80.9"])
def test_versions_we_know(tmp_path: Path, version: str):
    with (
        scripted(Replies(Answer(200, {**ABOUT, "version": version}))) as server,
        a_client(server, tmp_path) as gateway,
    ):
        known = gateway.capabilities()
        again = gateway.capabilities()

        assert len(server.asked) == 1
    major, minor, *_ = version.split(".")
    assert known.version[:2] == (int(major), int(minor))
    assert again == known
    assert known.score == (int(minor) >= 56)


@pytest.mark.parametrize("version", ["2.47.9", "2.81.0", "3.0.0", "1.7.0", "", "unknown"])
def test_versions_we_do_not_know(tmp_path: Path, version: str):
    with (
        scripted(Replies(Answer(200, {**ABOUT, "version": version}))) as server,
        a_client(server, tmp_path) as gateway,
        pytest.raises(UnsupportedError),
    ):
        gateway.capabilities()


def test_the_organization_and_the_token_go_with_every_request(tmp_path: Path):
    with (
        scripted(Replies(Answer(200, PROJECT))) as server,
        connect(server.url, token="secret", organization="team", cache_dir=tmp_path) as gateway,
    ):
        gateway.project(7)

        headers = server.asked[0].headers
        assert headers["authorization"] == "Bearer secret"
        assert headers["x-organization"] == "team"


def test_a_session_that_ended_is_begun_again(tmp_path: Path):
    """With a password the client signs in once, and once more when CVAT forgets it."""
    state = {"logins": 0, "good": False}

    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/auth/login":
            assert asked.json == {"username": "ann", "password": "pw"}
            state["logins"] += 1
            state["good"] = True
            cookies = f"sessionid=s{state['logins']}; Path=/, csrftoken=c; Path=/"
            return Answer(200, {"key": "k"}, {"Set-Cookie": cookies})
        if not state["good"]:
            return Answer(401, {"detail": "Authentication credentials were not provided."})
        return Answer(200, PROJECT)

    with (
        scripted(answer) as server,
        connect(server.url, username="ann", password="pw", cache_dir=tmp_path) as gateway,
    ):
        gateway.project(7)
        state["good"] = False
        gateway.project(7)

        assert state["logins"] == 2
        assert "sessionid=s2" in server.asked[-1].headers["cookie"]


def test_a_wrong_password_is_named(tmp_path: Path):
    refusal = {"non_field_errors": ["Unable to log in with provided credentials."]}
    with (
        scripted(Replies(Answer(400, refusal))) as server,
        pytest.raises(AuthenticationError, match="sign in as ann.*password is wrong") as refused,
    ):
        connect(server.url, username="ann", password="pw", cache_dir=tmp_path)

    assert "pw" not in str(refused.value).split()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"token": "t", "username": "u", "password": "p"},
        {"username": "u"},
        {"token": "t", "url": "ftp://cvat"},
    ],
)
def test_a_sign_in_that_cannot_be_meant_is_refused(tmp_path: Path, how: dict[str, Any]):
    with pytest.raises(ConfigError):
        connect(how.pop("url", "http://127.0.0.1:1"), cache_dir=tmp_path, **how)


def test_a_password_is_not_shown():
    assert "pw" not in repr(Password("ann", "pw"))


def a_client(server: Scripted, folder: Path) -> CvatClient:
    clock = Clock()
    line = Connection(
        server.url,
        token="secret",
        password=None,
        organization=None,
        timeout=5,
        patience=Patience(total=30, clock=lambda: clock.now, sleep=clock.sleep),
        page_size=50,
        cache_dir=folder,
    )
    return CvatClient(line, ChunkCache(folder / "chunks", 1 << 20))


def test_an_older_server_gets_no_score(tmp_path: Path):
    """Servers below 2.56 do not know the field."""
    held: list[dict[str, Any]] = []

    def answer(asked: Asked) -> Answer:
        if asked.path == "/api/server/about":
            return Answer(200, {**ABOUT, "version": "2.50.0"})
        if asked.method == "PATCH":
            held.extend({**shape, "id": 1} for shape in asked.json["shapes"])
        return Answer(200, {"tags": [], "shapes": held, "tracks": []})

    shape = {
        "type": "rectangle",
        "frame": 0,
        "label_id": 1,
        "points": [1, 1, 2, 2],
        "source": "auto",
        "score": 0.5,
    }
    with scripted(answer) as server, a_client(server, tmp_path) as gateway:
        written = gateway.create_annotations(4, shapes=[shape])

    assert written.shapes[0]["id"] == 1
    assert "score" not in held[0]
