"""The screen *Savings* in a browser: nothing yet, first round, many rounds; thresholds in use."""

from __future__ import annotations

import numpy as np
import pytest
import requests

from cvat_bridge.ledger.page_records import JobEffort
from cvat_bridge.ledger.records import Correction, KnownLabel, Round
from cvat_bridge.savings.clock import Clock, write_clock
from cvat_bridge.thresholds.choices import chosen_thresholds
from tests.cvat_bridge.web.conftest import MANAGER, sign_in
from tests.cvat_bridge.web.serving import serious_faults

SHOWN = {"scores": {"cell": 0.35}, "basis": {"cell": "calibration"}, "calibrated": True}


@pytest.fixture(scope="module")
def screen(browser, page, project):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    tab = context.new_page()
    sign_in(tab, page.url, MANAGER)
    tab.where = f"{page.url}projects/{project}/savings"
    yield tab
    context.close()


def work(ledger, project, number, *, seconds=50.0):
    """A round with seven pre-annotated jobs and two control jobs; low scores are often wrong."""
    rng = np.random.default_rng(number)
    ledger.set_labels([KnownLabel(1, "cell", "rectangle")])
    ledger.save_round(
        Round(number, project, "done", started="2026-02-01", figures={"shown_from": SHOWN})
    )
    for place in range(9):
        job, control = 100 * number + place, place < 2
        arm = "control" if control else "pre-annotated"
        spent = seconds * (3 if control else 1) * (1 + place / 50)
        ledger.people.save_efforts(
            [JobEffort(job, number, 1, arm, "" if control else "m", "ann", 10, 20, spent, None, "")]
        )
        scores = rng.uniform(0.35, 1, 0 if control else 20)
        ledger.set_corrections(
            job,
            [
                Correction(number, job, n % 10, n, "kept" if s > 0.6 else "deleted", "cell",
                           "cell" if s > 0.6 else "", 0.9, float(s), "m")
                for n, s in enumerate(scores)
            ],
        )  # fmt: skip


def test_nobody_corrected_anything_yet(screen):
    screen.goto(screen.where)
    assert screen.get_by_role("heading", name="Nobody has corrected anything yet").is_visible()
    assert screen.get_by_text("0 pre-annotated and 0 without so far").is_visible()
    assert serious_faults(screen) == []


def test_analytics_switched_off_and_too_few_control_jobs_are_told(screen, page, project):
    work(page.parts.ledger, project, 1)
    write_clock(page.parts.home, Clock("2026-02-02", "analytics is switched off"))
    screen.goto(screen.where)
    for words in (
        "Nothing is measured by a clock yet",
        "CVAT gave no working time: analytics is switched off.",
        "A comparison needs 4 finished control jobs",
    ):
        assert screen.get_by_text(words).is_visible(), words
    assert serious_faults(screen) == []


def test_many_rounds_show_what_is_saved_with_its_interval(screen, page, project):
    for number in range(2, 5):
        work(page.parts.ledger, project, number, seconds=60.0 / number)
    write_clock(page.parts.home, Clock("2026-02-02"))
    screen.goto(screen.where)

    assert screen.get_by_text("The time saved is surely above zero").is_visible()
    picture = screen.get_by_role("img", name="with: ")
    assert "without: " in picture.get_attribute("aria-label")
    assert screen.get_by_role("img", name="Seconds of an object from round 1").is_visible()
    table = screen.get_by_role("region", name="By class as a table").inner_text()
    assert "cell" in table
    assert serious_faults(screen) == []


def test_a_threshold_is_used_and_taken_back_with_the_persons_name(screen, page):
    screen.goto(screen.where)
    screen.get_by_role("button", name="Use ").click()
    screen.get_by_text("The next jobs show cell from").wait_for()

    (choice,) = chosen_thresholds(page.parts.ledger).values()
    assert 0.55 < choice.score < 0.65
    assert choice.who == MANAGER.username
    assert screen.get_by_text("that is the threshold in use").is_visible()

    page.restart()
    screen.goto(f"{page.url}projects/{page.config.project_id}/savings")
    assert screen.get_by_text(f"{MANAGER.username} chose").is_visible()
    screen.get_by_role("button", name="Take back the threshold of cell").click()
    screen.get_by_text("Taken back: cell").wait_for()
    assert chosen_thresholds(page.parts.ledger) == {}


@pytest.fixture(scope="module")
def api(page, project):
    held = requests.Session()
    held.headers["Authorization"] = f"Bearer {page.sandbox.admin_token}"
    held.where = f"{page.url}api/projects/{project}"
    return held


@pytest.mark.parametrize(
    ("scores", "words"),
    [({"cell": 0.0}, "between 0.05 and 1"), ({"cell": 1.2}, "between"), ({"dog": 0.5}, "no class")],
)
def test_a_threshold_of_nothing_is_refused_in_words(api, page, scores, words):
    answer = api.post(f"{api.where}/thresholds", json={"scores": scores}, timeout=30)
    assert answer.status_code == 422
    assert words in answer.json()["error"]
    assert chosen_thresholds(page.parts.ledger) == {}


def test_the_same_as_json(api, page):
    found = api.get(f"{api.where}/savings", timeout=30).json()
    assert found["savings"]["basis"] == "analytics"
    assert found["savings"]["controls"] == 8
    (row,) = found["thresholds"]
    for _ in range(2):
        api.post(f"{api.where}/thresholds", json={"scores": {"cell": row["score"]}}, timeout=30)
    assert len(page.parts.ledger.people.threshold_choices()) == 3
    described = api.get(f"{page.url}api/openapi.json", timeout=30).json()["paths"]
    assert "/api/projects/{project_id}/thresholds" in described


def test_a_form_without_the_sessions_token_changes_nothing(screen, page, project):
    before = page.parts.ledger.people.threshold_choices()
    answer = screen.request.post(
        f"{page.url}projects/{project}/savings/thresholds",
        form={"label": "cell", "score": "0.9"},
        headers={"Origin": page.url[: -len("/learning/")]},
    )
    assert answer.status == 403
    assert page.parts.ledger.people.threshold_choices() == before
