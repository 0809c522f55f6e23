"""The service wakes on a true delivery, survives a failing look, and says how it stands."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry

from cvat_bridge.config import load_secrets
from cvat_bridge.errors import LedgerError
from cvat_bridge.home import Home
from cvat_bridge.service.figures import Backlog, LoopFigures, ProjectState
from cvat_bridge.service.service import MAX_BODY, Loop, TickResult, make_app
from cvat_bridge.service.webhooks import SIGNATURE_HEADER, signature
from tests.patience import patience

SECRET, TOKEN = "s3cret", "t0ken"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}
FINISHED = json.dumps(
    {
        "event": "update:job",
        "job": {"id": 1, "project_id": 7, "state": "completed"},
        "changes": {"state": {"from": "in progress", "to": "completed"}},
    }
).encode()


class Looks:
    """A tick that counts and answers as told."""

    def __init__(self, *answers: TickResult | Exception) -> None:
        self.answers, self.count = list(answers), 0

    def __call__(self) -> TickResult:
        self.count += 1
        answer = self.answers.pop(0) if self.answers else TickResult(acted=False, reason="rests")
        if isinstance(answer, Exception):
            raise answer
        return answer


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + patience(10)
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def started(loop: Loop) -> threading.Thread:
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    return thread


def client(*loops: Loop) -> TestClient:
    """Return a reader of a service of these loops, for projects 7, 8, …"""
    for number, loop in enumerate(loops, 3):
        loop.status = lambda number=number: {"round": number}  # type: ignore[misc]
    web = make_app(
        lambda: dict(enumerate(loops, 7)),
        registry=CollectorRegistry(),
        secret=SECRET,
        token=TOKEN,
    )
    return TestClient(web)


def test_a_signed_delivery_makes_the_loop_look_again() -> None:
    looks = Looks()
    loop = Loop(looks, poll_seconds=3600)
    started(loop)
    assert until(lambda: looks.count == 1 and loop.reason == "rests")

    answer = client(loop).post(
        "/webhooks/cvat", content=FINISHED, headers={SIGNATURE_HEADER: signature(FINISHED, SECRET)}
    )

    assert (answer.status_code, answer.json()["verdict"]) == (200, "wake")
    assert until(lambda: looks.count == 2)
    loop.stop()


def test_a_forged_delivery_wakes_nobody_and_is_refused() -> None:
    looks = Looks()
    loop = Loop(looks, poll_seconds=3600)
    started(loop)
    assert until(lambda: looks.count == 1 and loop.reason == "rests")

    answer = client(loop).post(
        "/webhooks/cvat", content=FINISHED, headers={SIGNATURE_HEADER: signature(FINISHED, "no")}
    )

    assert answer.status_code == 403
    time.sleep(0.2)
    assert looks.count == 1
    loop.stop()


def test_a_body_too_large_to_be_a_webhook_is_refused_unread() -> None:
    answer = client(Loop(Looks(), 3600)).post("/webhooks/cvat", content=b"x" * (MAX_BODY + 1))

    assert answer.status_code == 413


def test_a_look_that_fails_is_told_and_tried_again() -> None:
    looks = Looks(RuntimeError("CVAT is away"))
    loop = Loop(looks, poll_seconds=0.3)
    started(loop)

    assert until(lambda: loop.failures == 1)
    health = client(loop).get("/healthz").json()
    assert until(lambda: loop.failures == 0)
    assert looks.count >= 2
    assert health == {"ok": False, "failures": 1}  # strangers read it: no name, no address
    loop.stop()


def test_after_a_round_the_loop_looks_again_at_once() -> None:
    looks = Looks(TickResult(acted=True, reason="round 1 is done"))
    loop = Loop(looks, poll_seconds=3600)
    started(loop)

    assert until(lambda: looks.count == 2)
    loop.stop()


def test_the_status_joins_the_records_and_what_the_loop_waits_for() -> None:
    loop = Loop(Looks(), 3600)
    loop.report_progress("fit", 3, 10)

    found = client(loop).get("/status", headers=SIGNED).json()

    assert found == {"round": 3, "loop": "starting", "progress": "fit 3/10"}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer no"}, {"Authorization": TOKEN}])
def test_the_status_is_for_those_who_hold_the_services_token(header: dict[str, str]) -> None:
    answer = client(Loop(Looks(), 3600)).get("/status", headers=header)

    assert answer.status_code == 401
    assert "service.token" in answer.json()["detail"]
    assert "round" not in answer.text


def test_a_body_that_announces_no_length_is_bounded_too() -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 2):
            yield b"x" * 65536

    answer = client(Loop(Looks(), 3600)).post("/webhooks/cvat", content=chunks())

    assert answer.status_code == 413


def test_a_signed_delivery_nested_without_end_is_malformed() -> None:
    body = b"[" * 200_000
    answer = client(Loop(Looks(), 3600)).post(
        "/webhooks/cvat", content=body, headers={SIGNATURE_HEADER: signature(body, SECRET)}
    )

    assert (answer.status_code, answer.json()["verdict"]) == (400, "malformed")


def test_secrets_and_records_in_home_are_for_their_owner_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.root.mkdir(mode=0o755)
    home.ledger.write_text("old")
    home.ledger.chmod(0o644)
    with home.held():
        token, again = home.service_token(), home.service_token()

    assert token == again
    assert token != home.webhook_secret()
    modes = {path.name: path.stat().st_mode & 0o777 for path in home.root.iterdir()}
    assert modes.pop("lock", 0o600) & 0o700 == 0o600
    assert modes == {"ledger.db": 0o600, "service.token": 0o600, "webhook.secret": 0o600}
    assert home.root.stat().st_mode & 0o777 == 0o700


def test_the_figures_count_deliveries_by_verdict() -> None:
    loop = Loop(Looks(), 3600)
    web = client(loop)
    web.post("/webhooks/cvat", content=b"{}")

    assert 'bridge_webhook_deliveries_total{verdict="forged"} 1.0' in web.get("/metrics").text


def test_a_delivery_wakes_the_project_that_it_is_about() -> None:
    seven, eight = (Loop(Looks(), 3600) for _ in range(2))
    body = json.dumps({"event": "create:task", "task": {"project_id": 8}}).encode()
    woken: list[int] = []
    seven.wake, eight.wake = (lambda: woken.append(7)), (lambda: woken.append(8))  # type: ignore[method-assign]

    answer = client(seven, eight).post(
        "/webhooks/cvat", content=body, headers={SIGNATURE_HEADER: signature(body, SECRET)}
    )

    assert (answer.json()["verdict"], woken) == ("wake", [8])


def test_the_status_of_several_projects_is_by_project() -> None:
    web = client(Loop(Looks(), 3600), Loop(Looks(), 3600))

    found = web.get("/status", headers=SIGNED).json()
    one = web.get("/status?project=8", headers=SIGNED).json()
    none = web.get("/status?project=9", headers=SIGNED)

    assert {number: row["round"] for number, row in found["projects"].items()} == {"7": 3, "8": 4}
    assert one == found["projects"]["8"]
    assert none.status_code == 404


def test_one_failing_project_of_several_leaves_the_service_healthy() -> None:
    failing, well = Loop(Looks(), 3600, failures=4), Loop(Looks(), 3600)

    assert client(failing, well).get("/healthz").json() == {"ok": True, "failures": 4}
    assert client(failing).get("/healthz").json() == {"ok": False, "failures": 4}


def test_the_figures_tell_of_rounds_steps_queue_and_average_precision() -> None:
    registry = CollectorRegistry()
    figures = LoopFigures(registry)
    standings = [
        ProjectState(4, 3, True, {"champion": 0.5, "challenger": 0.25}, 0.5, {"kept": 9}),
        ProjectState(),
    ]
    told = figures.of(7)
    told.step("fit", 12.0, False)
    told.step("fit", 1.0, True)
    told.backlog(Backlog(pool=40, labelled=20, new=5, waiting=7))
    loop = Loop(Looks(), 3600, standing=lambda: standings.pop(0), figures=figures, project=7)
    web = TestClient(make_app(lambda: {7: loop}, registry=registry, secret=SECRET, token=TOKEN))

    lines = set(web.get("/metrics").text.splitlines())
    later = web.get("/metrics").text

    assert {
        'bridge_round{project="7"} 4.0',
        'bridge_rounds_done{project="7"} 3.0',
        'bridge_round_under_way{project="7"} 1.0',
        'bridge_pool_frames{project="7"} 40.0',
        'bridge_labelled_frames{project="7"} 20.0',
        'bridge_new_frames{project="7"} 5.0',
        'bridge_queue_frames{project="7"} 7.0',
        'bridge_step_seconds_sum{project="7",step="fit"} 12.0',
        'bridge_step_failures_total{project="7",step="fit"} 1.0',
        'bridge_average_precision{model="serving",project="7"} 0.5',
        'bridge_average_precision{model="challenger",project="7"} 0.25',
        'bridge_proposals{outcome="kept",project="7"} 9.0',
    } <= lines
    assert "bridge_average_precision{" not in later


def test_figures_that_cannot_be_read_leave_those_of_the_others() -> None:
    def broken() -> ProjectState:
        raise LedgerError("the file is damaged")

    registry = CollectorRegistry()
    figures = LoopFigures(registry)
    loops = {
        7: Loop(Looks(), 3600, standing=broken, figures=figures, project=7),
        8: Loop(Looks(), 3600, standing=lambda: ProjectState(2), figures=figures, project=8),
    }
    web = TestClient(make_app(lambda: loops, registry=registry, secret=SECRET, token=TOKEN))

    assert 'bridge_round{project="8"} 2.0' in web.get("/metrics").text


def test_a_secret_in_a_servers_answer_is_not_told_as_the_reason() -> None:
    load_secrets({"CVAT_ACCESS_TOKEN": "pat-of-this-test-0123"})
    loop = Loop(Looks(RuntimeError("refused: Bearer pat-of-this-test-0123")), 3600)
    started(loop)

    assert until(lambda: loop.failures == 1)
    assert loop.reason == "RuntimeError: refused: Bearer ***"
    loop.stop()
