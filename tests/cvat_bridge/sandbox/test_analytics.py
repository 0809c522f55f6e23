"""CVAT's analytics, on and off, as the client reads it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
import requests

from cvat_bridge.cvat.client import connect
from cvat_bridge.errors import UnsupportedError
from cvat_bridge.sandbox import SandboxUser, running
from tests.cvat_bridge.web.serving import Api

ANN, BOB = SandboxUser("ann", "ann-pass"), SandboxUser("bob", "bob-pass")


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    with running(tmp_path_factory.mktemp("on"), users=[ANN, BOB], analytics=True) as found:
        yield found


@pytest.fixture(scope="module")
def project(watched):
    api = Api(watched.url, watched.admin.username, watched.admin.password)
    return int(api.send("POST", "/api/projects", name="P", labels=[])["id"])


def work(url, who, project, job, *seconds, previous=None):
    """Report events of a job, so many seconds after each other; give the last one."""
    at = datetime.now(timezone.utc) - timedelta(hours=1)
    place = {"scope": "click:element", "job_id": job, "task_id": 1, "project_id": project}
    events = []
    for pause in (0, *seconds):
        at += timedelta(seconds=pause)
        events.append({**place, "timestamp": at.isoformat()})
    now = datetime.now(timezone.utc).isoformat()
    body = {"events": events, "previous_event": previous, "timestamp": now}
    Api(url, who.username, who.password).send("POST", "/api/events", **body)
    return events[-1]


def client(sandbox, tmp_path, who=None):
    way = {"token": sandbox.admin_token}
    if who is not None:
        way = {"username": who.username, "password": who.password}
    return connect(sandbox.url, **way, cache_dir=tmp_path, patience=20.0)


def test_working_time_is_added_up_by_job_and_long_pauses_are_none(watched, project, tmp_path):
    work(watched.url, ANN, project, 7, 30, 20, 500, 10)
    work(watched.url, BOB, project, 7, 40)
    work(watched.url, BOB, project, 8, 5)
    work(watched.url, BOB, project + 1, 9, 5)
    with client(watched, tmp_path) as cvat:
        found = cvat.working_time(project, "")
    assert found.seconds == {7: pytest.approx(100, abs=0.01), 8: pytest.approx(5, abs=0.01)}
    assert not found.own_only


def test_others_see_their_own_working_time_alone(watched, project, tmp_path):
    work(watched.url, ANN, project, 17, 30)
    work(watched.url, BOB, project, 18, 40)
    with client(watched, tmp_path, BOB) as cvat:
        found = cvat.working_time(project, "")
    assert found.own_only
    assert 18 in found.seconds
    assert 17 not in found.seconds


def test_events_of_another_person_are_refused(watched):
    person = Api(watched.url, BOB.username, BOB.password)
    with pytest.raises(requests.HTTPError, match="403"):
        person.send("POST", "/api/events/export?user_id=1")


def test_scopes_that_only_the_server_writes_are_refused(watched):
    now = datetime.now(timezone.utc).isoformat()
    event = {"scope": "send:working_time", "timestamp": now, "duration": 9_000_000, "job_id": 7}
    with pytest.raises(requests.HTTPError, match="400"):
        Api(watched.url, BOB.username, BOB.password).send(
            "POST", "/api/events", events=[event], timestamp=now
        )


def test_switched_off_is_an_answer_of_its_own(tmp_path):
    with (
        running(tmp_path / "off", users=[ANN]) as sandbox,
        client(sandbox, tmp_path) as cvat,
    ):
        work(sandbox.url, ANN, 1, 7, 30)
        with pytest.raises(UnsupportedError, match="analytics is switched off"):
            cvat.working_time(1, "")
        api = Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)
        begun = api.send("POST", "/api/events/export?project_id=1")
        for _ in range(200):
            state = api.send("GET", f"/api/requests/{requests.utils.quote(begun['rq_id'], '')}")
            if state["status"] == "failed":
                break
        assert "clickhouse" in state["message"]
