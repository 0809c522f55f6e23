"""Run a model: look, slide, take one, take all, a whole task; stop, resume, a restart between."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from cvat_bridge.web.long_work.lane import Lane
from tests.cvat_bridge.web.conftest import MANAGER, OUTSIDER, sign_in
from tests.cvat_bridge.web.serving import Api, serious_faults, served
from tests.cvat_bridge.web.spotted import FRAMES, FUNCTION, make_project, offer

KEY = "{:032x}".format


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    return make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        offer(found.parts, tmp_path_factory.mktemp("models"))
        yield found


@pytest.fixture(scope="module")
def window(browser, page):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(600_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    yield tab
    context.close()


@pytest.fixture
def cvat(sandbox):
    return Api(sandbox.url, sandbox.admin.username, sandbox.admin.password)


@pytest.fixture
def script(page, window):
    """A script with the manager's session."""
    person = requests.Session()
    person.cookies.update({c["name"]: c["value"] for c in window.context.cookies()})
    person.headers["Origin"] = page.url[: -len("/learning/")]
    window.goto(page.url)
    person.headers["X-CSRF-Token"] = window.locator("input[name=csrf]").first.input_value()
    return person


def shapes(cvat: Api, task: int) -> list[dict[str, Any]]:
    return list(cvat.send("GET", f"/api/tasks/{task}/annotations")["shapes"])


def look(window, page, drawn, task):
    window.goto(f"{page.url}projects/{drawn.project}/run?model={FUNCTION}&task={task}")
    window.locator(".look-frame form").nth(5).wait_for()
    return window.locator(".look-frame").first


def slide(window, value):
    window.get_by_role("slider").fill(str(value))


def test_frames_show_greyed_what_the_model_would_bring_and_the_slider_filters_them(
    window, page, drawn
):
    frame = look(window, page, drawn, drawn.task)
    assert frame.locator("g[data-score]:not([hidden])").count() == 2
    slide(window, 0.95)
    assert frame.locator("g[data-score]:not([hidden])").count() == 0
    assert frame.get_by_role("button", name="Take all 0").is_disabled()
    slide(window, 0.5)
    assert frame.locator("g[data-score]:not([hidden])").count() == 2
    assert window.get_by_text("12 objects on the frames shown are above it.").is_visible()
    assert serious_faults(window) == []


def test_a_click_takes_one_object_once_and_leaves_the_rest(window, page, drawn, cvat):
    frame = look(window, page, drawn, drawn.task)
    frame.locator("g[data-candidate]").first.click()
    frame.get_by_text("1 object was written to CVAT.").wait_for()
    found = shapes(cvat, drawn.task)
    assert [(s["frame"], s["source"]) for s in found] == [(0, "auto")]
    assert found[0]["score"] > 0.7
    assert frame.locator("g[data-candidate]:not([hidden])").count() == 1
    assert frame.locator("polygon.stands").count() == 1


def test_all_above_the_slider_is_one_click_and_nothing_is_doubled(window, page, drawn, cvat):
    frame = look(window, page, drawn, drawn.task)
    frame.get_by_role("button", name="Take all 1").click()
    frame.get_by_text("1 object was written to CVAT; 1 stood there already.").wait_for()
    found = shapes(cvat, drawn.task)
    assert sorted(s["label_id"] for s in found) == sorted(drawn.labels.values())


def test_a_whole_task_is_annotated_and_what_people_drew_stays_as_it_is(
    window, page, drawn, cvat, script
):
    drawn_by_hand = {
        "type": "rectangle",
        "frame": 5,
        "label_id": drawn.labels["red"],
        "points": [0.0, 0.0, 31.0, 31.0],
        "attributes": [],
    }
    cvat.send(
        "PATCH",
        f"/api/tasks/{drawn.task}/annotations?action=create",
        shapes=[drawn_by_hand],
        tags=[],
        tracks=[],
        version=0,
    )
    before = {s["id"]: s for s in shapes(cvat, drawn.task)}
    look(window, page, drawn, drawn.task)
    window.get_by_role("button", name="Annotate the whole task").click()
    window.get_by_text("7 frames of task").wait_for()
    assert window.get_by_text("Objects of people are never touched").is_visible()
    assert serious_faults(window) == []
    window.get_by_role("button", name="Annotate", exact=True).click()
    window.get_by_text("Done.", exact=True).wait_for()
    assert window.get_by_text(f"Asked for by {MANAGER.username}").is_visible()
    assert serious_faults(window) == []

    after = {s["id"]: s for s in shapes(cvat, drawn.task)}
    assert {number: after[number] for number in before} == before
    assert len(after) == 2 * FRAMES + 1
    # The whole task once more: there is nothing to do, in words.
    look(window, page, drawn, drawn.task)
    window.get_by_role("button", name="Annotate the whole task").click()
    window.get_by_text("There is nothing to do").wait_for()
    assert len(shapes(cvat, drawn.task)) == len(after)


def test_a_stopped_run_is_resumed_after_a_restart_and_everybody_sees_it(
    window, page, drawn, cvat, script
):
    """The lane is held so that the run waits; it is stopped, the service restarts, it goes on."""
    lane: Lane = page.page.desks._lanes["annotate"]
    import threading

    gate = threading.Event()
    lane.put("held", lambda: gate.wait(600))
    api = f"{page.url}api/projects/{drawn.project}"
    body = {"key": KEY(7), "model": FUNCTION, "task": drawn.second, "threshold": 0.5}
    asked = script.post(f"{api}/run/whole", json=body, timeout=300)
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    again = script.post(f"{api}/run/whole", json=body, timeout=300)
    assert again.json()["key"] == KEY(7)
    window.goto(f"{page.url}projects/{drawn.project}/work/{KEY(7)}")
    window.get_by_text("It waits for another one to end").wait_for()
    window.get_by_role("button", name="Stop").click()
    gate.set()
    window.get_by_text("Stopped. What is done is kept").wait_for()
    assert shapes(cvat, drawn.second) == []

    page.restart()
    window.reload()
    window.get_by_role("button", name="Resume").click()
    window.get_by_text("Done.", exact=True).wait_for()
    assert len(shapes(cvat, drawn.second)) == 2 * FRAMES
    history = script.get(f"{api}/long-work/{KEY(7)}", timeout=300).json()["history"]
    assert [row["what"] for row in history] == ["asked", "stopped", "resumed"]
    assert {row["who"] for row in history} == {MANAGER.username}


def test_what_a_killed_service_left_undone_goes_on_at_its_next_start(page, drawn, cvat, script):
    """Its file says that it waits, as a killed process leaves it."""
    import threading

    cvat.send("DELETE", f"/api/tasks/{drawn.second}/annotations")
    gate = threading.Event()
    page.page.desks._lanes["annotate"].put("held", lambda: gate.wait(600))
    api = f"{page.url}api/projects/{drawn.project}"
    body = {"key": KEY(8), "model": FUNCTION, "task": drawn.second, "threshold": 0.3}
    assert script.post(f"{api}/run/whole", json=body, timeout=300).status_code == 202
    gate.set()
    page.restart()
    until = time.monotonic() + 600
    while (state := script.get(f"{api}/long-work/{KEY(8)}", timeout=300).json()["state"]) != "done":
        assert time.monotonic() < until, state
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"threshold": 0}, 422, "A threshold lies between 0.01 and 1"),
        ({"threshold": 1.5}, 422, "A threshold lies between 0.01 and 1"),
        ({"model": "/etc"}, 404, "There is no model '/etc' here"),
        ({"task": 99999}, 404, "This project has no task 99999"),
        ({"key": "x"}, 422, "not complete: key"),
        ({"map": ["red"]}, 422, "The classes cannot be read"),
        ({"map": ["red=", "green="]}, 422, "No class of this model has a label"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(page, drawn, script, changed, status, words):
    body = {"key": KEY(9), "model": FUNCTION, "task": drawn.task, "threshold": 0.5}
    address = f"{page.url}api/projects/{drawn.project}/run/whole"
    found = script.post(address, json=body | changed, timeout=300)
    assert found.status_code == status
    assert words in found.json()["error"]


def test_a_folder_of_the_machine_is_no_model_and_a_task_of_elsewhere_is_not_shown(
    page, drawn, script, tmp_path, sandbox, cvat
):
    from tests.serverless.bright_spots import bright_spots

    bundle = bright_spots(tmp_path / "on-disk")
    api = f"{page.url}api/projects/{drawn.project}/run/frame"
    asked = {"model": str(bundle.path), "task": drawn.task, "frame": 0}
    assert script.get(api, params=asked, timeout=300).status_code == 404
    other = make_project(sandbox, OUTSIDER, tmp_path, "Elsewhere")
    asked = {"model": FUNCTION, "task": other.task, "frame": 0}
    assert script.get(api, params=asked, timeout=300).status_code == 404
    picture = f"{page.url}projects/{drawn.project}/frames/{other.task}/0.jpg"
    found = script.get(picture, timeout=300)
    assert b"This image cannot be shown" in found.content


def test_without_script_a_frame_is_looked_at_and_its_objects_taken(
    browser, window, page, drawn, cvat
):
    cvat.send("DELETE", f"/api/tasks/{drawn.task}/annotations")
    state = window.context.storage_state()
    context = browser.new_context(java_script_enabled=False, storage_state=state)
    tab = context.new_page()
    tab.goto(f"{page.url}projects/{drawn.project}/run?model={FUNCTION}&task={drawn.task}")
    tab.get_by_role("link", name="Look at frame 3").click()
    tab.get_by_text("As a list").click()
    tab.get_by_role("button", name="Take red").click()
    assert tab.get_by_text("1 object was written to CVAT.").is_visible()
    assert [s["frame"] for s in shapes(cvat, drawn.task)] == [3]
    context.close()


def test_five_hundred_objects_are_filtered_within_a_tenth_of_a_second(window, page, drawn):
    look(window, page, drawn, drawn.task)
    spent = window.evaluate(
        """() => {
          const svg = document.querySelector('.stage svg');
          for (let n = 0; n < 500; n++) {
            const one = document.createElementNS('http://www.w3.org/2000/svg', 'g');
            one.dataset.score = (n / 500).toFixed(4);
            one.innerHTML = '<polygon class="offered" points="1,1 9,1 9,9 1,9"/>';
            svg.append(one);
          }
          const slider = document.querySelector('[data-least]'), times = [];
          for (let n = 10; n < 60; n++) {
            slider.value = n / 100;
            const began = performance.now();
            slider.dispatchEvent(new Event('input', {bubbles: true}));
            svg.getBoundingClientRect();
            times.push(performance.now() - began);
          }
          return times.sort((a, b) => a - b)[25];
        }"""
    )
    assert spent < 100
