"""The screen *Likely mistakes* in a browser: twenty to review in three clicks, each once."""

from __future__ import annotations

import threading

import pytest
import requests

from cvat_bridge.errors import NothingToDoError
from cvat_bridge.mistakes.disputes import Disputes
from cvat_bridge.mistakes.listing import keep_list, kept_list, suspect_key
from cvat_bridge.mistakes.ranking import Suspect
from cvat_bridge.web.background.work_queue import WorkQueue
from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.drawn import make_project
from tests.cvat_bridge.web.serving import Api, serious_faults, served

KINDS = ("overlooked", "swapped", "badly placed")


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    return make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        yield found


@pytest.fixture(scope="module")
def api(sandbox):
    return Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)


@pytest.fixture(scope="module")
def screen(browser, page, drawn):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    tab.where = f"{page.url}projects/{drawn.project}"
    yield tab
    context.close()


@pytest.fixture(scope="module")
def listed(page, drawn, api):
    """A list of 30 suspects of a model's, as a look keeps it."""
    (job,) = api.send("GET", f"/api/jobs?task_id={drawn.task}")["results"]
    rows = tuple(
        Suspect(
            job["id"],
            drawn.task,
            n % 24,
            KINDS[n % 3],
            "class 0",
            "",
            (9.0 * n, 40, 9.0 * n + 60, 90),
            n / 40,
            None,
            f"reason {n}",
        )
        for n in range(30)
    )
    return lambda: keep_list(page.parts.home, "m1", Disputes(rows, 24, 0, 0, 0), now="2026-03-01")


def test_before_the_first_look_it_says_what_is_needed(screen):
    screen.goto(f"{screen.where}/mistakes")
    assert screen.get_by_role("heading", name="Nobody has looked yet").is_visible()
    assert serious_faults(screen) == []


def test_a_look_that_failed_is_told_in_words(screen, page):
    def fails(*_):
        raise NothingToDoError("no model serves yet that could dispute a label")

    queue = WorkQueue(page.parts.home.root / "work", fails)
    queue.ask("f" * 32, "look", {}, who="mira", now="2026-03-01")
    while queue.find("f" * 32).going:
        threading.Event().wait(0.02)
    screen.goto(f"{screen.where}/mistakes")
    assert screen.get_by_text("no model serves yet that could dispute a label").is_visible()


def test_twenty_mistakes_go_to_review_in_three_clicks_and_once(screen, page, api, listed):
    listed()
    screen.goto(f"{screen.where}/now")
    screen.get_by_role("link", name="Likely mistakes").click()  # 1
    screen.wait_for_load_state("networkidle")
    assert serious_faults(screen) == []
    first = screen.locator("input[name=key]").get_attribute("value")
    screen.get_by_label("All 20 of this screen").check()  # 2
    screen.get_by_role("button", name="Send to review").click()  # 3
    screen.get_by_text("20 issues were opened in CVAT by mira").wait_for()

    rows = api.send("GET", "/api/issues?page_size=100")["results"]
    assert len(rows) == 20
    keys = {row.key for row in page.parts.ledger.people.reviews()}
    assert keys == {suspect_key(one) for one in kept_list(page.parts.home).suspects[:20]}
    assert screen.get_by_text("10 labels to look at").is_visible()
    assert (
        page.page.work_queue(page.page.sites.get(page.config.project_id)).find(first).who == "mira"
    )


def test_resolved_issues_give_the_precision_of_the_list(screen, api):
    for row in api.send("GET", "/api/issues?page_size=100")["results"][:10]:
        api.send("PATCH", f"/api/issues/{row['id']}", resolved=True)
    screen.goto(f"{screen.where}/mistakes")
    screen.get_by_text("of 10 resolved were mistakes").wait_for()
    assert screen.get_by_text("20 sent, 10 open.").is_visible()
    assert screen.locator(".suspects").get_by_text("% likely").first.is_visible()
    assert serious_faults(screen) == []


def test_nothing_marked_is_refused_in_words(screen, listed):
    listed()
    screen.goto(f"{screen.where}/mistakes")
    screen.get_by_role("button", name="Send to review").click()
    screen.get_by_text("Nothing was sent: no label is marked").wait_for()


def test_a_service_killed_in_the_middle_sends_the_rest_at_its_next_start(page, api, drawn):
    """The item is written down as at work, with some issues made and not all."""
    before = len(api.send("GET", "/api/issues?page_size=100")["results"])
    left = [vars(one) for one in kept_list(page.parts.home).suspects[20:24]]
    begun, folder = threading.Event(), page.parts.home.root / "work"

    def never(*_):
        begun.set()
        raise SystemExit

    dying = WorkQueue(folder, never)
    dying.ask("k" * 32, "review", {"suspects": left}, who="mira", now="2026-03-02")
    assert begun.wait(30)
    page.restart()
    queue = page.page.work_queue(page.page.sites.get(drawn.project))
    for _ in range(600):
        if not queue.find("k" * 32).going:
            break
        threading.Event().wait(0.05)

    assert queue.find("k" * 32).state == "done"
    assert len(api.send("GET", "/api/issues?page_size=100")["results"]) == before + 4


def test_the_same_as_json(page, drawn):
    held = requests.Session()
    held.headers["Authorization"] = f"Bearer {page.sandbox.admin_token}"
    where = f"{page.url}api/projects/{drawn.project}"
    found = held.get(f"{where}/mistakes?kind=overlooked", timeout=30).json()
    assert {row["suspect"]["kind"] for row in found["rows"]} == {"overlooked"}
    bad = held.post(
        f"{where}/mistakes/review",
        json={"key": "x", "suspects": [found["rows"][0]["key"]]},
        timeout=30,
    )
    assert bad.status_code == 422
    sent = held.post(
        f"{where}/mistakes/review",
        json={"key": "a" * 32, "suspects": [found["rows"][0]["key"]]},
        timeout=30,
    )
    assert sent.status_code == 202
    assert held.get(f"{where}/work/{'a' * 32}", timeout=30).json()["kind"] == "review"
    assert held.get(f"{where}/work/{'b' * 32}", timeout=30).status_code == 404
