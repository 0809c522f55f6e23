"""Train by mouse: what there is to learn from, faults beside their field, who waits for whom."""

from __future__ import annotations

import re
import threading

import pytest
import requests

from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.serving import serious_faults, served
from tests.cvat_bridge.web.spotted import finish, make_project, offer

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


@pytest.fixture(scope="module")
def finished(sandbox, drawn, window, page):
    """Nothing is finished at first, and the screen says what is needed; then both tasks are."""
    window.goto(f"{page.url}projects/{drawn.project}/train")
    assert window.get_by_text("Nothing to learn from yet").is_visible()
    assert serious_faults(window) == []
    finish(sandbox, drawn.task, drawn)
    finish(sandbox, drawn.second, drawn, 100)
    return drawn


@pytest.fixture
def form(finished, window, page):
    window.goto(f"{page.url}projects/{finished.project}/train")
    return window


@pytest.fixture
def script(page, form):
    person = requests.Session()
    person.cookies.update({c["name"]: c["value"] for c in form.context.cookies()})
    person.headers["Origin"] = page.url[: -len("/learning/")]
    person.headers["X-CSRF-Token"] = form.locator("input[name=csrf]").first.input_value()
    return person


def test_the_form_shows_what_is_finished_and_its_defaults_work(form, finished):
    assert form.get_by_text(re.compile("all .* finished frames")).is_visible()
    form.get_by_text(re.compile("^Learns from")).click()
    task = form.get_by_role("checkbox", name=re.compile(f"^{finished.task} ·")).first
    assert "8 frames" in task.locator("xpath=..").inner_text()
    assert re.search("cpu · processor.*GB free", form.get_by_label("Runs on").inner_text())
    form.get_by_text("Settings").first.click()
    epochs = form.get_by_label("Epochs", exact=False).first
    assert epochs.get_attribute("placeholder") == "chosen from the data"
    assert serious_faults(form) == []


def test_every_fault_stands_beside_its_field_and_what_was_filled_in_stays(form):
    form.get_by_label("Name", exact=True).fill("../bad")
    form.get_by_text("Settings").first.click()
    form.get_by_label(re.compile("^Gamma")).fill("3")
    form.get_by_label(re.compile("^Batch size")).fill("many")
    form.locator("[name=way][value=share]").check()
    form.get_by_label("Share of the frames", exact=True).evaluate(
        "one => one.removeAttribute('max')"
    )
    form.get_by_label("Share of the frames", exact=True).fill("0.95")
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text("Nothing was begun.").wait_for()
    for name, words in (
        ("name", "letters, digits"),
        ("fit.batch_size", "integer"),
        ("share", "must lie in 0..0.9"),
    ):
        field = form.locator(f"[name='{name}']").locator(
            "xpath=ancestor::*[self::label or self::fieldset][1]"
        )
        assert words in field.inner_text() or words in form.locator("fieldset").first.inner_text()
    assert form.locator("[name='fit.gamma']").input_value() == "3"
    assert "--" not in form.locator(".beside").first.inner_text()
    assert serious_faults(form) == []


def test_a_test_part_that_equals_the_train_part_is_refused_in_words(form, finished):
    form.get_by_text(re.compile("^Learns from")).click()
    form.locator(f"[name=train_tasks][value='{finished.task}']").check()
    form.locator("[name=way][value=parts]").check()
    form.get_by_text("Parts to test on").click()
    form.locator(f"[name=test_tasks][value='{finished.task}']").check()
    form.get_by_role("button", name="Run", exact=True).click()
    form.get_by_text(f"Both learnt from and tested on: {finished.task}").wait_for()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"device": "cuda:7"}, "device cuda:7 is not on this machine; there are"),
        ({"base": "/etc"}, "base '/etc': there is no such model"),
        ({"test_tasks": "all"}, "the test part equals the train part"),
        ({"train_tasks": [999]}, "--task 999: no such task"),
        ({"fit": {"schedule": "step", "milestones": "9,3"}}, "milestones must rise"),
        ({"task": "faces"}, "choose boxes or masks"),
        ({"fit": {"wigth": "3"}}, "--fit wigth: no such setting"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_its_fault(page, finished, script, changed, words):
    if changed.get("test_tasks") == "all":
        changed = {"test_tasks": [finished.task, finished.second]}
    body = {"key": KEY(1), "name": "refused"} | changed
    answer = script.post(f"{page.url}api/projects/{finished.project}/train", json=body, timeout=300)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_the_second_of_two_trainings_waits_and_is_told_for_whom(page, finished, form, script):
    gate = threading.Event()
    page.page.desks._lanes["train"].put("held", lambda: gate.wait(600))
    api = f"{page.url}api/projects/{finished.project}"
    for number, name in enumerate(("first", "second")):
        body = {"key": KEY(10 + number), "name": name}
        assert script.post(f"{api}/train", json=body, timeout=300).status_code == 202
    form.reload()
    assert form.get_by_text("is under way: yours waits for it").is_visible()
    form.goto(f"{page.url}projects/{finished.project}/work/{KEY(11)}")
    form.get_by_text("It waits for 2 others to end, and begins by itself.").wait_for()
    # Both are stopped before their turn: nothing is learnt, and nothing is lost.
    for number in (10, 11):
        script.post(f"{api}/long-work/{KEY(number)}/stop", timeout=300)
    gate.set()
    form.get_by_text("Stopped. What is done is kept").wait_for()
    assert list(page.parts.home.runs.glob("*")) == []
