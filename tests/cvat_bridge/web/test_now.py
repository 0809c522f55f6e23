"""The screen Now in a browser: empty, with rounds, while something learns, at phone width."""

from __future__ import annotations

import fcntl
import json

import pytest
import requests

from cvat_bridge.ledger.records import Round
from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.records import record
from tests.cvat_bridge.web.serving import serious_faults


@pytest.fixture(scope="module")
def screen(browser, page, project):
    """A signed-in window, kept for all tests of this file."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    tab.where = f"{page.url}projects/{project}/now"
    yield tab
    context.close()


def test_a_project_without_rounds_says_what_to_do_next(screen):
    screen.goto(screen.where)
    for words in (
        "No round has run yet. What to do next:",
        "No round has chosen frames yet.",
        "It begins with the first round that learns a model",
        "no pre-annotated job was finished",
        "Nothing. The loop waits for: finished jobs: 0 of 20 new frames.",
    ):
        assert screen.get_by_text(words).first.is_visible(), words
    assert serious_faults(screen) == []


def test_rounds_are_shown_with_their_figures_and_each_chart_has_its_table(screen, page, project):
    record(page.parts.ledger, project)
    screen.goto(screen.where)

    assert screen.get_by_text("the first model").count() == 0
    bar = screen.locator("#bar")
    assert "round 3 is done" in bar.inner_text()
    assert screen.get_by_text("3 frames, chosen by cold start, 1 of them at random").is_visible()
    screen.get_by_text("As a table").click()
    assert "80" in screen.get_by_role("region", name="Learning curve as a table").inner_text()
    assert serious_faults(screen) == []


def test_an_open_screen_shows_a_new_round_by_itself(screen, page, project):
    screen.goto(screen.where)
    assert "round 3 is done" in screen.locator("#bar").inner_text()
    page.parts.ledger.save_round(Round(4, project, "done"))
    screen.get_by_text("round 4 is done").wait_for()


def test_a_fit_under_way_is_followed_and_stopped(screen, page):
    run = page.parts.home.runs / "round-4-abc"
    run.mkdir(parents=True)
    (run / "request.json").write_text(json.dumps({"name": "project-1 round 4"}))
    (run / "events.jsonl").write_text(
        json.dumps({"event": "progress", "stage": "fit", "done": 30, "total": 120}) + "\n"
    )
    with (run / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        screen.goto(screen.where)
        screen.get_by_text("30 of 120").wait_for()
        (run / "events.jsonl").write_text(
            json.dumps({"event": "progress", "stage": "fit", "done": 60, "total": 120}) + "\n"
        )
        screen.get_by_text("60 of 120").wait_for()
        screen.get_by_role("button", name="Stop, and keep what it learnt").click()
        screen.get_by_text("round-4-abc was asked to stop").wait_for()
        assert (run / "fit" / "stop").exists()
    screen.goto(screen.where)
    assert screen.get_by_text("60 of 120").count() == 0


@pytest.mark.parametrize("run", ["no-such-run", "..", "%2e%2e%2fhome"])
def test_a_run_that_is_not_under_way_is_not_stopped(screen, page, project, run):
    cookies = {c["name"]: c["value"] for c in screen.context.cookies()}
    token = screen.locator("input[name=csrf]").first.get_attribute("value")
    answer = requests.post(
        f"{page.url}projects/{project}/runs/{run}/stop",
        data={"csrf": token},
        cookies=cookies,
        headers={"Origin": page.url[: -len("/learning/")]},
        timeout=20,
    )
    assert answer.status_code in (404, 405, 409)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_nothing_is_wider_than_the_screen(browser, screen, scheme):
    state = screen.context.storage_state()
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, storage_state=state
    )
    tab = context.new_page()
    tab.goto(screen.where)
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    assert serious_faults(tab) == []
    context.close()


def test_without_script_the_screen_is_read_and_its_form_sent(browser, screen, page):
    state = screen.context.storage_state()
    context = browser.new_context(java_script_enabled=False, storage_state=state)
    tab = context.new_page()
    tab.goto(screen.where)
    assert tab.get_by_text("drawn at random").is_visible()
    tab.get_by_role("button", name="Begin a round now").click()
    assert tab.get_by_text("The service was asked to begin a round.").is_visible()
    assert page.parts.home.take_request()
    context.close()


def test_keys_go_from_screen_to_screen_and_the_first_one_skips_to_the_content(screen, project):
    screen.goto(screen.where)
    screen.keyboard.press("Tab")
    assert screen.evaluate("document.activeElement.textContent") == "To the content"
    screen.keyboard.press("Enter")
    assert screen.evaluate("document.activeElement.id") == "main"
    screen.keyboard.press("2")
    screen.wait_for_url(f"**/projects/{project}/blindspots")


def test_times_are_in_the_readers_zone(browser, screen):
    state = screen.context.storage_state()
    context = browser.new_context(storage_state=state, timezone_id="Asia/Tokyo", locale="en-GB")
    tab = context.new_page()
    tab.goto(screen.where)
    assert tab.locator("time").first.inner_text() == "3 Feb 2026, 19:00"
    context.close()


def test_what_the_screen_shows_is_one_json_route_described_by_openapi(screen, page, project):
    cookies = {c["name"]: c["value"] for c in screen.context.cookies()}
    found = requests.get(f"{page.url}api/projects/{project}/now", cookies=cookies, timeout=20)
    assert [p["frames"] for p in found.json()["curve"]["points"]] == [40, 80]
    described = requests.get(f"{page.url}api/openapi.json", timeout=20).json()
    assert "/api/projects/{project_id}/now" in described["paths"]
