"""One real training by mouse: it learns, is stopped and kept, goes on, and serves.

Two short fits of a few steps each, in processes of their own; most of it is their start.
"""

from __future__ import annotations

import re

import pytest

from serverless.store.functions import entries
from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.serving import serious_faults, served
from tests.cvat_bridge.web.spotted import finish, make_project, offer
from trainer.runs.small_files import is_running

PATIENCE = 600_000  # ms: the start of a fit on a busy machine


@pytest.fixture(scope="module")
def drawn(sandbox, tmp_path_factory):
    made = make_project(sandbox, MANAGER, tmp_path_factory.mktemp("images"))
    finish(sandbox, made.task, made)
    finish(sandbox, made.second, made, 100)
    return made


@pytest.fixture(scope="module")
def page(sandbox, drawn, tmp_path_factory):
    with served(sandbox, tmp_path_factory.mktemp("home"), drawn.project) as found:
        offer(found.parts, tmp_path_factory.mktemp("models"))
        yield found


def stop_once_it_learns(tab):
    tab.get_by_role("heading", name=re.compile("^Loss: ")).wait_for(timeout=PATIENCE)
    tab.get_by_role("button", name="Stop and keep").click()
    tab.get_by_text("Stopped. What is done is kept").wait_for(timeout=PATIENCE)


def steps_of(run):
    """Return how often a run told how far it is."""
    return (run / "events.jsonl").read_text().count('"event": "progress"')


@pytest.mark.timeout(2400)  # two starts of a fit on a busy machine
def test_a_training_is_stopped_and_kept_goes_on_and_serves(tab, page, drawn):
    tab.set_default_timeout(PATIENCE)
    sign_in(tab, page.url, MANAGER)
    tab.goto(f"{page.url}projects/{drawn.project}/train")
    tab.get_by_label("Name", exact=True).fill("by-mouse")
    tab.get_by_label(re.compile("^Begins with")).select_option("scratch")
    tab.locator("[name=way][value=share]").check()
    tab.get_by_text("Settings").first.click()
    # It would learn for hours.
    for name, value in (("epochs", "100000"), ("batch_size", "4"), ("image_size", "32x32")):
        tab.locator(f"[name='fit.{name}']").fill(value)
    tab.get_by_role("button", name="Run", exact=True).click()
    stop_once_it_learns(tab)

    tab.get_by_role("heading", name="Version 1").wait_for()
    assert tab.get_by_text("No model serves yet, so there is none to compare").is_visible()
    assert serious_faults(tab) == []
    run = page.parts.home.runs / "by-mouse"
    assert (run / "bundle" / "card.json").is_file()
    assert not is_running(run)
    before = steps_of(run)

    tab.get_by_role("button", name="Resume").click()
    tab.wait_for_function("() => document.body.innerText.includes('Under way')", timeout=PATIENCE)
    # It goes on in the same run, where it was.
    while steps_of(run) < before + 5:
        tab.wait_for_timeout(100)
    stop_once_it_learns(tab)
    tab.get_by_role("heading", name="Version 2").wait_for()

    tab.get_by_role("button", name="Let it serve").click()
    tab.get_by_role("button", name="Let it serve").click()
    tab.get_by_text("Version 2 serves from now on.").wait_for()
    (champion,) = [one for one in entries(page.parts.functions) if one.id == "champion"]
    assert champion.version == page.parts.registry.champion(page.parts.key).bundle
    tab.goto(f"{page.url}projects/{drawn.project}/run")
    assert "version 2 (serves now" in tab.get_by_label("Model").inner_text()
