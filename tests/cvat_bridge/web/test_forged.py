"""What another site, another host's name or another session sends is not believed."""

from __future__ import annotations

import re

import pytest
import requests

from tests.cvat_bridge.web.conftest import MANAGER


@pytest.fixture
def person(page):
    """A signed-in browser without a window: its cookies, and the token of its forms."""
    session = requests.Session()
    origin = page.url[: -len("/learning/")]
    session.headers["Origin"] = origin
    form = {"way": "password", "username": MANAGER.username, "password": MANAGER.password}
    answer = session.post(page.url + "signin", data=form, timeout=20)
    session.csrf = re.search(r'name="csrf" value="([^"]+)"', answer.text)[1]
    return session


def begin(page, project, person, **headers):
    return person.post(
        f"{page.url}projects/{project}/round",
        data={"csrf": person.csrf},
        headers=headers,
        timeout=20,
        allow_redirects=False,
    )


def test_a_form_of_the_page_is_believed(page, project, person):
    assert begin(page, project, person).status_code == 303
    assert page.parts.home.take_request()


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": None},
        {"Origin": None, "Referer": "https://evil.example/learning/"},
    ],
)
def test_a_post_from_elsewhere_is_refused_and_nothing_is_done(page, project, person, headers):
    answer = begin(page, project, person, **headers)
    assert answer.status_code == 403
    assert "nothing was done" in answer.text
    assert not page.parts.home.round_is_asked_for()


@pytest.mark.parametrize("token", ["", "x" * 43, "\u00e4"])
def test_a_form_without_the_sessions_token_is_refused(page, project, person, token):
    person.csrf = token
    answer = begin(page, project, person)
    assert answer.status_code == 403
    assert not page.parts.home.round_is_asked_for()


def test_a_token_of_another_session_is_refused(page, project, person):
    other = requests.Session()
    other.headers["Origin"] = person.headers["Origin"]
    form = {"way": "password", "username": MANAGER.username, "password": MANAGER.password}
    answer = other.post(page.url + "signin", data=form, timeout=20)
    person.csrf = re.search(r'name="csrf" value="([^"]+)"', answer.text)[1]
    assert begin(page, project, person).status_code == 403


def test_a_name_that_somebody_pointed_at_this_machine_is_refused(page):
    answer = requests.get(page.url, headers={"Host": "evil.example"}, timeout=20)
    assert answer.status_code == 421


def test_a_form_without_bounds_is_refused(page):
    answer = requests.post(
        page.url + "signin",
        data=iter([b"way=token&", b"token=1"]),
        timeout=20,
        headers={"Origin": page.url[: -len("/learning/")]},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "path", ["https://evil.example", "//evil.example", "/\\evil.example", "/status", "javascript:1"]
)
def test_after_signing_in_nobody_is_led_elsewhere(page, path):
    form = {
        "way": "password",
        "username": MANAGER.username,
        "password": MANAGER.password,
        "next": path,
    }
    answer = requests.post(
        page.url + "signin",
        data=form,
        timeout=20,
        allow_redirects=False,
        headers={"Origin": page.url[: -len("/learning/")]},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/learning/")


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(page):
    for path in ("signin", "static/page.css", "nowhere", "api/openapi.json"):
        headers = requests.get(page.url + path, timeout=20).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["X-Frame-Options"] == "DENY"


def test_the_file_of_sessions_signs_nobody_in_and_is_its_owners_alone(page, person):
    path = page.parts.home.sessions
    assert path.stat().st_mode & 0o777 == 0o600
    content = b"".join(one.read_bytes() for one in path.parent.glob("sessions.db*"))
    (cookie,) = [c.value for c in person.cookies if c.name == "learning_test"]
    assert cookie.encode() not in content
    assert MANAGER.password.encode() not in content
    assert b"sessionid" not in content and b'"credentials"' not in content
