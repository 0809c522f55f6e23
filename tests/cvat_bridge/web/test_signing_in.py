"""People sign in with the CVAT account they have, and see and do what CVAT lets them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
import requests

from cvat_bridge.sandbox import SandboxUser
from tests.cvat_bridge.web.conftest import ANNOTATOR, MANAGER, OUTSIDER, sign_in
from tests.cvat_bridge.web.serving import HOUR, Api


@pytest.fixture(autouse=True)
def real_time(page):
    page.clock.ahead = 0.0
    yield
    page.clock.ahead = 0.0


def token_of(sandbox, who, *, read_only):
    api = Api(sandbox.url, who.username, who.password)
    return api.send(
        "POST", "/api/auth/access_tokens", name="page", expiry_date=None, read_only=read_only
    )["value"]


def by_token(tab, page, token):
    tab.goto(page.url + "signin")
    tab.get_by_text("With an access token").click()
    tab.get_by_label("Access token").fill(token)
    tab.get_by_role("button", name="Sign in with the token").click()


def test_with_user_and_password_one_comes_to_where_one_wanted_to_go(tab, page, project):
    wanted = f"{page.url}projects/{project}/now?x=1"
    tab.goto(wanted)
    assert urlsplit(tab.url).path == "/learning/signin"
    tab.get_by_label("User name").fill(MANAGER.username)
    tab.get_by_label("Password").fill(MANAGER.password)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    tab.wait_for_url(wanted)

    assert tab.get_by_text("mira", exact=True).is_visible()
    (cookie,) = [c for c in tab.context.cookies() if c["name"] == "learning_test"]
    assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/learning/"


@pytest.mark.parametrize("who", [SandboxUser("mira", "wrong"), SandboxUser("nobody", "mira-pass")])
def test_a_wrong_name_or_password_is_told_and_nobody_is_in(tab, page, who):
    tab.goto(page.url + "signin")
    tab.get_by_label("User name").fill(who.username)
    tab.get_by_label("Password").fill(who.password)
    tab.get_by_role("button", name="Sign in", exact=True).click()

    tab.get_by_text("The user name or the password is wrong.").wait_for()
    assert tab.get_by_label("User name").input_value() == who.username
    assert [c for c in tab.context.cookies() if c["name"] == "learning_test"] == []


def test_who_guesses_passwords_has_to_wait(page):
    form = {"way": "password", "username": "guessed", "password": "x"}
    headers = {"Origin": page.url[: -len("/learning/")]}
    codes = [
        requests.post(page.url + "signin", data=form, headers=headers, timeout=20).status_code
        for _ in range(8)
    ]
    assert codes == [401] * 6 + [429] * 2


def test_with_an_access_token(tab, page, sandbox, project):
    by_token(tab, page, token_of(sandbox, MANAGER, read_only=False))
    tab.get_by_role("link", name="Cells").click()
    tab.get_by_role("button", name="Begin a round now").wait_for()


def test_with_a_token_that_only_reads_one_may_look_and_not_act(tab, page, sandbox, project):
    by_token(tab, page, token_of(sandbox, MANAGER, read_only=True))
    tab.get_by_role("link", name="Cells").click()

    tab.get_by_text("You may look, but not act here: your access token is read-only.").wait_for()
    assert tab.get_by_role("button", name="Begin a round now").count() == 0


def test_an_unknown_token_is_refused(tab, page):
    by_token(tab, page, "0123456789abcdef")
    tab.get_by_text("CVAT does not know this access token").wait_for()


def test_who_is_signed_in_to_cvat_is_in_at_once_and_out_when_they_leave_there(
    tab, page, sandbox, project
):
    login = requests.post(
        sandbox.url + "/api/auth/login",
        json={"username": MANAGER.username, "password": MANAGER.password},
        timeout=20,
    )
    cookies = [
        {"name": name, "value": value, "domain": "127.0.0.1", "path": "/"}
        for name, value in login.cookies.items()
    ]
    tab.context.add_cookies(cookies)
    tab.goto(f"{page.url}projects/{project}/now")
    assert tab.get_by_text("mira", exact=True).is_visible()

    # Signing out here is not undone by the cookie, until one asks for it.
    tab.get_by_role("button", name="Sign out").click()
    tab.goto(page.url)
    tab.get_by_role("button", name="Go on as in CVAT").click()
    tab.get_by_role("heading", name="Projects").wait_for()

    tab.context.clear_cookies(name="sessionid")
    tab.goto(page.url)
    tab.get_by_text("You signed out of CVAT").wait_for()


def test_a_cookie_that_cvat_does_not_know_lets_nobody_in(page):
    answer = requests.get(page.url, cookies={"sessionid": "forged"}, timeout=20)
    assert urlsplit(answer.url).path == "/learning/signin"


def test_a_session_ends_unused_and_one_comes_back_to_the_same_view(tab, page, project):
    sign_in(tab, page.url, MANAGER)
    tab.goto(f"{page.url}projects/{project}/now")
    page.clock.ahead = HOUR + 5
    tab.goto(f"{page.url}projects/{project}/now?from=a-link")

    tab.get_by_text("Your session has ended.").wait_for()
    tab.get_by_label("User name").fill(MANAGER.username)
    tab.get_by_label("Password").fill(MANAGER.password)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    tab.wait_for_url(f"{page.url}projects/{project}/now?from=a-link")


def test_a_button_of_a_page_left_open_for_a_day_does_nothing_and_says_so(tab, page, project):
    sign_in(tab, page.url, MANAGER)
    tab.goto(f"{page.url}projects/{project}/now")
    page.clock.ahead = 24 * HOUR
    tab.get_by_role("button", name="Begin a round now").click()

    tab.get_by_text("Your session has ended.").wait_for()
    assert not page.parts.home.round_is_asked_for()


def test_signing_out_ends_the_session_on_the_server_too(tab, page, project):
    sign_in(tab, page.url, MANAGER)
    cookies = {c["name"]: c["value"] for c in tab.context.cookies()}
    tab.get_by_role("button", name="Sign out").click()
    tab.get_by_role("heading", name="Sign in").wait_for()

    answer = requests.get(f"{page.url}api/projects", cookies=cookies, timeout=20)
    assert answer.status_code == 401


@pytest.mark.parametrize("who", [OUTSIDER, ANNOTATOR])
def test_who_does_not_see_the_project_in_cvat_sees_nothing_of_it(tab, page, project, who):
    sign_in(tab, page.url, who)
    tab.get_by_text("CVAT shows you no project").wait_for()
    for place in ("now", "blindspots", "failures", "similar", "now/work", "frames/1/0.jpg"):
        answer = tab.goto(f"{page.url}projects/{project}/{place}")
        assert answer.status == 404, place
        assert "Cells" not in tab.content(), place


def test_a_project_deleted_in_cvat_while_its_page_is_open_is_told_of(tab, page, sandbox):
    api = Api(sandbox.url, MANAGER.username, MANAGER.password)
    other = api.send("POST", "/api/projects", name="Short-lived", labels=[])["id"]
    sign_in(tab, page.url, MANAGER)
    tab.get_by_text("No loop runs for it here").wait_for()
    api.send("DELETE", f"/api/projects/{other}")
    tab.goto(f"{page.url}projects/{other}/now")
    tab.get_by_text("It may have been deleted in CVAT").wait_for()


def test_a_restart_of_the_service_signs_nobody_out(tab, page, project):
    sign_in(tab, page.url, MANAGER)
    page.restart()
    tab.goto(f"{page.url}projects/{project}/now")
    tab.get_by_role("button", name="Begin a round now").click()
    tab.get_by_text("The service was asked to begin a round.").wait_for()
    assert page.parts.home.take_request()


def test_with_a_token_in_the_header_a_script_reads_what_a_screen_shows(page, sandbox, project):
    headers = {"Authorization": f"Bearer {token_of(sandbox, MANAGER, read_only=True)}"}
    found = requests.get(f"{page.url}api/projects/{project}/now", headers=headers, timeout=20)
    assert found.json()["bar"]["name"] == "Cells"
    wrong = requests.get(
        f"{page.url}api/projects", headers={"Authorization": "Bearer 123"}, timeout=20
    )
    assert (wrong.status_code, wrong.json()["error"]) == (
        401,
        "CVAT does not know this access token (any more).",
    )
