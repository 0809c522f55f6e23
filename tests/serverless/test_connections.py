"""What a caller may hold open: a host of its own process, and bare sockets that behave badly."""

import json
import socket
import threading
import time
from contextlib import ExitStack

import pytest
import requests
from starlette.responses import Response

from serverless.host.connections import Bounds, server
from serverless.host.server import running

HEAD_SECONDS = 1.0
MOST = 12  # connections; half of them of one address
STRANGER = "127.0.0.2"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("connections")
    options = ("--head-timeout", str(HEAD_SECONDS), "--max-connections", str(MOST))
    with running(folder, log=folder / "log", builtin=False, options=options) as url:
        yield url


def connected(url, stack, count=1, source="127.0.0.1"):
    host, port = url.removeprefix("http://").split(":")
    made = []
    for _ in range(count):
        one = socket.create_connection((host, int(port)), 30, source_address=(source, 0))
        made.append(stack.enter_context(one))
    return made


def told(connection):
    """Return the status that comes before the connection is closed, None for none."""
    text = b""
    while part := connection.recv(4096):
        text += part
    return int(text.split()[1]) if text else None


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\n"])
def test_a_head_that_does_not_come_is_not_waited_for(served, sent):
    with ExitStack() as stack:
        (slow,) = connected(served, stack)
        slow.sendall(sent)

        assert told(slow) == 408


def test_a_head_that_comes_a_letter_at_a_time_is_late_as_well(served):
    with ExitStack() as stack:
        (slow,) = connected(served, stack)
        until = time.monotonic() + 30
        status = b""
        slow.sendall(b"GET /healthz HTTP/1.1\r\nx: ")
        slow.settimeout(0.2)
        while not status and time.monotonic() < until:
            slow.sendall(b"x")
            try:
                status = slow.recv(4096)
            except TimeoutError:
                continue

    assert status.startswith(b"HTTP/1.1 408")


def test_a_connection_that_is_used_again_is_given_its_time_anew(served):
    with requests.Session() as session:
        answers = []
        until = time.monotonic() + 1.5 * HEAD_SECONDS
        while time.monotonic() < until:
            answers.append(session.get(f"{served}/healthz", timeout=60).status_code)
            time.sleep(0.1)

    assert set(answers) == {200}


@pytest.mark.parametrize(
    ("path", "headers", "status", "says"),
    [
        ("/healthz?" + "x" * 8200, {}, 414, "longer than 8192 bytes"),
        ("/healthz", {f"x-{n}": "1" for n in range(101)}, 431, "100 are taken"),
        ("/healthz", {"x-long": "x" * 33_000}, 431, "larger than 32768 bytes"),
    ],
)
def test_more_than_a_caller_needs_is_refused_by_name(served, path, headers, status, says):
    reply = requests.get(served + path, headers=headers, timeout=60)

    # The last one may reach the host in two parts; then it ends while the rest is to come.
    assert reply.status_code == status or (status == 431 and reply.status_code == 400)
    assert reply.headers["connection"] == "close"
    assert reply.status_code == 400 or says in json.loads(reply.text)["error"]


def test_a_stranger_with_many_connections_leaves_room_for_the_others(served):
    with ExitStack() as stack:
        many = connected(served, stack, MOST, STRANGER)
        good = [requests.get(f"{served}/healthz", timeout=60).status_code for _ in range(3)]
        beyond = [told(one) for one in many[MOST // 2 :]]
        within = [told(one) for one in many[: MOST // 2]]
    after = requests.get(f"{served}/healthz", timeout=60).status_code

    assert good == [200] * 3
    assert beyond == [503] * (MOST - MOST // 2)
    assert within == [408] * (MOST // 2)
    assert after == 200


def test_an_answer_that_nobody_reads_is_let_go():
    """A reader that takes nothing is left after the limit; one that reads gets all of it."""
    size = 64 << 20
    web = server(Response(b"x" * size), Bounds(unread_seconds=1.0), port=0)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        time.sleep(0.01)
    url = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    with ExitStack() as stack:
        (lazy,) = connected(url, stack)
        lazy.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        while not web.server_state.connections:
            time.sleep(0.01)
        until = time.monotonic() + 30
        while web.server_state.connections and time.monotonic() < until:
            time.sleep(0.05)
        left = len(web.server_state.connections)
        whole = len(requests.get(url, timeout=60).content)
    web.should_exit = True
    thread.join(30)

    assert left == 0
    assert whole == size
