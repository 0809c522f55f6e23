"""What is said of savings: which clock, how sure, and what is missing."""

from __future__ import annotations

import numpy as np
import pytest

from cvat_bridge.config import Config
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.page_records import JobEffort
from cvat_bridge.ledger.records import Correction, KnownLabel
from cvat_bridge.savings.clock import Clock, write_clock
from cvat_bridge.savings.comparing import compare
from cvat_bridge.savings.query import savings


@pytest.fixture
def place(tmp_path):
    home = Home(tmp_path)
    with Ledger(home.ledger) as ledger:
        yield home, ledger


def asked(home, ledger, **more):
    return savings(Config.model_validate({"home": home.root, "savings": more}), home, ledger)


def efforts(arm, count, seconds, *, first, clock="worked", number=1):
    """Jobs of ten frames and twenty objects."""
    clocks = {"worked": None, "spell": None, clock: seconds}
    return [
        JobEffort(first + n, number, 1, arm, "m" * 16, "ann", 10, 20, **clocks, finished="")
        for n in range(count)
    ]


def correct(ledger, outcomes, job=1, label="cell", score=0.75):
    rows = [
        Correction(
            1, job, 0, n, one, "" if one == "added" else label, label, 0.9,
            None if one == "added" else score, "m" * 16,
        )
        for n, one in enumerate(outcomes)
    ]  # fmt: skip
    ledger.set_corrections(job, rows)


def test_a_project_where_nobody_corrected_anything_says_so(place):
    found = asked(*place)
    assert found.basis == "nothing"
    assert found.objects is None
    assert found.hours is None
    assert found.sentences[0].startswith("Nobody has corrected a pre-annotated job yet")
    assert "there are 0" in found.notes[-1]


def test_control_jobs_of_a_clock_make_the_figure(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 12, 50.0, first=100))
    ledger.people.save_efforts(efforts("control", 5, 200.0, first=200))
    write_clock(home, Clock("2026-03-01"))

    found = asked(home, ledger, hourly_rate=40)

    assert found.basis == "analytics"
    assert found.objects.saved.value == pytest.approx(0.75)
    assert found.objects.with_it.seconds.value == pytest.approx(2.5)
    assert found.frames.without.seconds.value == pytest.approx(20)
    assert found.hours.value == pytest.approx(12 * 150 / 3600)
    assert found.money.value == pytest.approx(40 * 12 * 150 / 3600)
    assert found.sentences[0].startswith("Pre-annotation saves 75% of people's time")
    assert "working time that CVAT's analytics recorded" in found.notes[0]


def test_job_times_stand_in_where_analytics_is_off(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 6, 90.0, first=100, clock="spell"))
    ledger.people.save_efforts(efforts("control", 4, 60.0, first=200, clock="spell"))
    write_clock(home, Clock("2026-03-01", "analytics is switched off"))

    found = asked(home, ledger)

    assert found.basis == "job times"
    assert found.hours.value < 0
    assert found.money is None
    assert "Pre-annotation costs 50%" in found.sentences[0]
    assert "CVAT gave no working time: analytics is switched off." in found.notes


def test_three_control_jobs_are_too_few_and_the_cost_model_says_that_it_is_no_clock(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 12, 50.0, first=100))
    ledger.people.save_efforts(efforts("control", 3, 200.0, first=200))
    ledger.set_labels([KnownLabel(1, "cell", "rectangle")])
    correct(ledger, ["kept"] * 6 + ["nudged"] * 2 + ["deleted"] + ["added"])

    found = asked(home, ledger)

    assert found.basis == "cost model"
    assert found.objects.saved.low is None
    with_it = 120 * 2 + 9 * 1.5 + 2 * 6 + 1.5 + 10
    assert found.objects.with_it.total == pytest.approx(with_it)
    assert found.objects.without.total == pytest.approx(120 * 2 + 9 * 10)
    assert "Nothing is measured by a clock yet" in found.notes[0]
    assert "there are 3. One job in 10" in found.notes[-1]


def test_outlines_cost_more_than_boxes_in_the_cost_model(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 1, None, first=1))
    correct(ledger, ["kept"] * 10)
    ledger.set_labels([KnownLabel(1, "cell", "mask")])
    assert asked(home, ledger).objects.without.total == pytest.approx(20 + 792)


def test_no_control_jobs_and_an_account_that_sees_only_itself_are_told(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 1, None, first=1))
    correct(ledger, ["kept"])
    write_clock(home, Clock("2026-03-01", own_only=True))
    notes = " ".join(asked(home, ledger, control_every=0).notes)
    assert "savings.control_every is 0" in notes
    assert "maintainer of the organization" in notes


def test_outcomes_are_told_by_class_score_annotator_and_model(place):
    home, ledger = place
    ledger.people.save_efforts(efforts("pre-annotated", 2, 50.0, first=1))
    correct(ledger, ["kept", "kept", "deleted", "added"], job=1, score=0.75)
    correct(ledger, ["nudged", "relabelled", "redrawn"], job=7, label="debris", score=1.0)

    found = asked(home, ledger).outcomes

    assert [(row.name, row.proposed, row.kept, row.added) for row in found.by_class] == [
        ("cell", 3, 2, 1),
        ("debris", 3, 0, 0),
    ]
    assert [(row.name, row.proposed) for row in found.by_score] == [
        ("0.7 to 0.8", 3),
        ("0.9 to 1.0", 3),
    ]
    assert {row.name: row.proposed for row in found.by_annotator} == {
        "ann": 3,
        "nobody assigned": 3,
    }
    assert [row.name for row in found.by_model] == ["1 · mmmmmmmm"]


def test_seconds_over_time_are_by_round_and_arm(place):
    home, ledger = place
    for number in (1, 2):
        rows = efforts("pre-annotated", 4, 100.0 / number, first=100 * number, number=number)
        ledger.people.save_efforts(rows)
        ledger.people.save_efforts(
            efforts("control", 2, 200.0, first=100 * number + 50, number=number)
        )
    found = asked(home, ledger).over_time
    assert [(r.round, r.with_it, r.without, r.jobs) for r in found] == [
        (1, 5.0, 10.0, 6),
        (2, 2.5, 10.0, 6),
    ]


def test_intervals_hold_what_they_promise():
    """A short form of the bench `savings_error`: lognormal jobs whose true saving is known."""
    rng, held, runs = np.random.default_rng(0), 0, 300
    for _ in range(runs):
        with_it = [(float(rng.lognormal(3.0, 0.4)), 20) for _ in range(45)]
        without = [(float(rng.lognormal(3.7, 0.4)), 20) for _ in range(5)]
        found = compare(with_it, without)
        assert found is not None
        held += found.saved.low <= 1 - np.exp(-0.7) <= found.saved.high
    assert 0.91 <= held / runs <= 0.99


@pytest.mark.parametrize(
    "bad", [[], [(1.0, 1)] * 3, [(0.0, 5)] * 9, [(4.0, 0)] * 9], ids=["none", "few", "0 s", "empty"]
)
def test_too_little_gives_no_figure(bad):
    good = [(10.0, 4)] * 8
    assert compare(good, bad) is None
    assert compare(bad, good) is None
