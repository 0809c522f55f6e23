"""From a blind spot to an assigned task in CVAT, by mouse, once, whatever happens on the way."""

from __future__ import annotations

import re
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.cvat_bridge.web.conftest import ANNOTATOR, MANAGER, OUTSIDER, sign_in
from tests.cvat_bridge.web.drawn import MODEL, make_project, write_records
from tests.cvat_bridge.web.serving import Api, serious_faults, served

DARK = "dark"


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    return make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        write_records(found.parts, drawn)
        yield found


@pytest.fixture(scope="module")
def window(browser, page):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    yield tab
    context.close()


@pytest.fixture
def spots(window, page, drawn):
    window.goto(f"{page.url}projects/{drawn.project}/blindspots")
    return window


@pytest.fixture
def cvat(sandbox):
    return Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)


def tasks(cvat, drawn):
    found = cvat.send("GET", f"/api/tasks?project_id={drawn.project}&page_size=100")
    return {row["id"]: row for row in found["results"] if row["id"] != drawn.task}


def script_session(page, window):
    person = requests.Session()
    person.cookies.update({c["name"]: c["value"] for c in window.context.cookies()})
    person.headers["Origin"] = page.url[: -len("/learning/")]
    return person


def test_a_slice_that_is_surely_worse_stands_first_with_its_figures(spots):
    first = spots.locator(".slices li").first
    assert DARK in first.inner_text()
    assert re.search(r"surely \d+ % to \d+ %; elsewhere \d+ %", first.inner_text())
    assert serious_faults(spots) == []


def test_the_slider_redraws_everything_and_the_address_comes_back_to_it(spots, browser):
    before = spots.locator("#spots .sentence").first.inner_text()
    slider = spots.get_by_role("slider")
    slider.focus()
    for _ in range(10):
        spots.keyboard.press("ArrowRight")
    spots.wait_for_function(
        "b => document.querySelector('#spots .sentence').innerText != b", arg=before
    )
    spots.wait_for_url(re.compile("threshold=0.4$"))
    after = spots.locator("#spots .sentence").first.inner_text()

    context = browser.new_context(storage_state=spots.context.storage_state())
    shared = context.new_page()
    shared.goto(spots.url)
    assert shared.locator("#spots .sentence").first.inner_text() == after
    assert shared.get_by_role("slider").input_value() == "0.4"
    context.close()


def test_a_cell_of_the_matrix_opens_its_objects_with_links_into_cvat(spots, drawn, sandbox):
    cell = spots.get_by_role("region", name="Confusion matrix").locator("td.wrong a").first
    count = cell.inner_text()
    cell.click()
    spots.get_by_role("heading", name=re.compile("^Failures")).wait_for()
    assert spots.get_by_text(f"{count} objects").first.is_visible()
    card = spots.locator(".triples li").first
    assert card.locator("figure").count() == 3
    pictures = card.locator("img")
    for n in range(3):
        answer = spots.request.get(pictures.nth(n).evaluate("one => one.src"))
        assert answer.headers["content-type"] == "image/jpeg"
    link = card.get_by_role("link", name="open in CVAT").get_attribute("href")
    assert re.fullmatch(rf"{sandbox.url}/tasks/{drawn.task}/jobs/\d+\?frame=\d+", link)
    assert serious_faults(spots) == []


def test_marked_failures_alone_are_looked_for(spots):
    spots.get_by_role("link", name="See all failures").click()
    spots.get_by_role("checkbox").nth(0).check()
    spots.get_by_role("checkbox").nth(2).check()
    spots.get_by_role("button", name=re.compile("Find more like")).click()
    spots.get_by_text("2 chosen failures").first.wait_for()
    assert len(parse_qs(urlsplit(spots.url).query)["chosen"]) == 2


def test_five_clicks_from_a_blind_spot_to_an_assigned_task(spots, cvat, drawn, page):
    before = tasks(cvat, drawn)
    spots.get_by_role("link", name="Find more like these").first.click()
    assert serious_faults(spots) == []
    for box in spots.locator("input[name=frames]").all()[6:]:
        box.uncheck()  # most of the pool stays for the other tests
    spots.get_by_role("checkbox", name=ANNOTATOR.username, exact=True).check()
    spots.get_by_role("button", name="Look over what will be done").click()
    spots.get_by_text(f"The jobs go to {ANNOTATOR.username} in turn.").wait_for()
    assert tasks(cvat, drawn).keys() == before.keys()  # looking writes nothing
    spots.get_by_role("button", name="Create the task").click()
    link = spots.get_by_role("link", name=re.compile(r"Open task \d+ in CVAT"))
    link.wait_for()

    (new,) = set(tasks(cvat, drawn)) - set(before)
    assert link.get_attribute("href").endswith(f"/tasks/{new}")
    jobs = cvat.send("GET", f"/api/jobs?task_id={new}&page_size=100")["results"]
    assert {job["assignee"]["username"] for job in jobs} == {ANNOTATOR.username}
    assert sum(job["frame_count"] for job in jobs) == 6
    (wish,) = [w for w in page.parts.ledger.requests() if w.task_id == new]
    assert wish.who == MANAGER.username
    assert serious_faults(spots) == []


def ask(spots, **changes):
    """Give the form of the last step as a browser would send it."""
    spots.get_by_role("link", name="Find more like these").first.click()
    boxes = spots.locator("input[name=frames]").all()[:3]
    form = {
        "csrf": spots.locator("main input[name=csrf]").first.get_attribute("value"),
        "key": spots.locator("input[name=key]").get_attribute("value"),
        "frames": [box.get_attribute("value") for box in boxes],
        "name": "asked for",
        "model": MODEL,
        "where": "",
        "job_size": "10",
    }
    return {**form, **changes}


def made(person, page, drawn, key):
    until = time.monotonic() + 60
    while time.monotonic() < until:
        state = person.get(f"{page.url}api/projects/{drawn.project}/tasks/{key}", timeout=30).json()
        if state["state"] in ("done", "failed"):
            return state
        time.sleep(0.1)
    raise AssertionError(state)


def test_pressed_twice_and_after_a_restart_in_the_middle_one_task_is_made(spots, page, drawn, cvat):
    before = set(tasks(cvat, drawn))
    form = ask(spots)
    person = script_session(page, spots)
    where = f"{page.url}projects/{drawn.project}/tasks"
    answers = [person.post(where, data=form, timeout=30, allow_redirects=False) for _ in range(2)]
    assert {a.status_code for a in answers} == {303}
    page.restart()
    assert person.post(where, data=form, timeout=30, allow_redirects=False).status_code == 303

    assert made(person, page, drawn, form["key"])["state"] == "done"
    assert len(set(tasks(cvat, drawn)) - before) == 1


def test_two_managers_who_want_the_same_frames_do_not_both_get_them(spots, page, drawn, cvat):
    before = set(tasks(cvat, drawn))
    first = ask(spots)
    second = {**first, "key": "f" * 32}
    person = script_session(page, spots)
    for form in (first, second):
        person.post(f"{page.url}projects/{drawn.project}/tasks", data=form, timeout=30)
    assert made(person, page, drawn, first["key"])["state"] == "done"
    late = made(person, page, drawn, second["key"])
    assert late["state"] == "failed" and "people have all 3 frames" in late["problem"]
    assert len(set(tasks(cvat, drawn)) - before) == 1

    spots.goto(f"{page.url}projects/{drawn.project}/tasks/{second['key']}")
    spots.get_by_text("It was not done: people have all 3 frames").wait_for()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frames": []}, "no frame is chosen"),
        ({"frames": ["1/2; drop"]}, "each a task and a number"),
        ({"job_size": "0"}, "between 1 and 1,000 frames"),
        ({"name": " "}, "the name has between"),
        ({"key": "../../x"}, "key is not ours"),
        ({"csrf": "x"}, "from another session"),
        ({"job_size": "many"}, "not complete: job_size"),
    ],
)
def test_a_form_that_no_page_of_ours_gives_does_nothing(spots, page, drawn, changes, words):
    form = ask(spots, **changes)
    answer = script_session(page, spots).post(
        f"{page.url}projects/{drawn.project}/tasks", data=form, timeout=30
    )
    assert answer.status_code in (403, 422)
    assert words in answer.text


def test_who_does_not_see_the_project_makes_no_task_of_it(spots, page, drawn, browser):
    form = ask(spots)
    context = browser.new_context()
    other = context.new_page()
    sign_in(other, page.url, OUTSIDER)
    person = script_session(page, other)
    answer = person.post(f"{page.url}projects/{drawn.project}/tasks", data=form, timeout=30)
    assert answer.status_code == 404
    context.close()


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("blindspots?source=nonsense", 404, "There is no source"),
        ("blindspots?threshold=7", 422, "between 0 and 1"),
        ("blindspots?threshold=x", 422, "not complete: threshold"),
        ("blindspots?model=gone", 200, "Nothing is recorded of this model and source"),
        ("failures?where=class%3Drenamed", 404, "A class may have been renamed since"),
        ("failures?truth=renamed&answer=", 404, "A class may have been renamed since"),
        ("similar?where=no%3Dsuch", 404, "Begin from the blind spots again"),
        ("similar?count=0", 200, "Unlabelled frames like these"),
        ("tasks/" + "0" * 32, 404, "There is no such request"),
    ],
)
def test_an_address_that_fits_nothing_any_more_is_answered_in_words(
    window, page, drawn, query, status, words
):
    answer = window.goto(f"{page.url}projects/{drawn.project}/{query}")
    assert answer.status == status
    assert words in window.content()


def test_an_image_that_no_longer_decodes_has_a_picture_that_says_so(window, page, drawn):
    answer = window.request.get(f"{page.url}projects/{drawn.project}/frames/{drawn.task}/999.jpg")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert "cannot be shown" in answer.text()


def test_the_json_routes_give_what_the_screens_show(spots, page, drawn):
    person = script_session(page, spots)
    base = f"{page.url}api/projects/{drawn.project}/"
    found = person.get(base + "blindspots", timeout=30).json()
    assert found["slices"][0]["words"] in spots.locator(".slices li").first.inner_text()
    where = found["slices"][0]["key"]
    rows = person.get(base + "failures", params={"where": where}, timeout=30).json()
    assert rows["total"] >= len(rows["rows"]) > 0
    like = person.get(base + "similar", params={"where": where, "count": 5}, timeout=30).json()
    assert len(like["frames"]) == 5
