"""What the screen Now shows is read from the records alone."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from active_learning.measures.cost import CostModel
from cvat_bridge.blindspots.types import Confusion
from cvat_bridge.ledger.records import Round
from cvat_bridge.models.serving import Serving
from cvat_bridge.web.charts.bars import stacked
from cvat_bridge.web.charts.curve import learning_curve
from cvat_bridge.web.charts.interval import interval
from cvat_bridge.web.rendering import code, worst
from cvat_bridge.web.screens.bar import bar_of
from cvat_bridge.web.screens.batch import batch_of
from cvat_bridge.web.screens.figures import ModelFigures, verdict_of
from cvat_bridge.web.screens.history import advice_of, corrected_of, curve_of
from cvat_bridge.web.sites import CurrentActivity
from tests.cvat_bridge.web.records import FIRST, SECOND, decide, record


def parsed(picture):
    return ET.fromstring(str(picture))  # noqa: S314 - our own


def bar(ledger, serving, doing=None):
    return bar_of(1, "Cells", serving, ledger.rounds(), ledger.decisions(), doing)


def test_the_bar_names_the_serving_model_by_its_round_with_its_latest_figures(ledger):
    record(ledger, 1)
    found = bar(ledger, Serving(FIRST, ()), CurrentActivity(reason="3 of 20 frames"))
    assert (found.learnt_in, found.figures) == (2, ModelFigures(0.407, 0.857, 72, 945))
    assert (found.state, found.waits_for, found.alarms) == (
        "round 3 is done",
        "3 of 20 frames",
        (),
    )
    assert bar(ledger, Serving(SECOND, ())).figures.ap == 0.467


def test_a_paused_project_is_not_taken_for_one_that_waits(ledger):
    record(ledger, 1)
    assert "does not work on this project now" in bar(ledger, Serving(FIRST, ())).waits_for


def test_a_failed_round_a_failed_look_and_a_lost_model_are_alarms(ledger):
    record(ledger, 1)
    last = ledger.rounds()[-1]
    ledger.save_round(replace(last, number=4, state="fit", waits_for="fit: no space left"))
    (alarm,) = bar(ledger, Serving(SECOND, ()), CurrentActivity(failures=2, reason="x")).alarms
    assert "no space left" in alarm.text and "learns" in alarm.text

    ledger.save_round(replace(last, number=4, state="done"))
    (alarm,) = bar(
        ledger, Serving(SECOND, ()), CurrentActivity(failures=2, reason="no CVAT")
    ).alarms
    assert "2 in a row" in alarm.text and "no CVAT" in alarm.text
    (alarm,) = bar(ledger, Serving(None, ("the store lost it",)), CurrentActivity()).alarms
    assert alarm.text == "the store lost it"


def test_the_first_model_is_judged_by_itself_and_a_later_one_by_its_gain(ledger):
    first = verdict_of(decide(ledger, 2, promoted=True, low=0.04))
    assert (first.kind, first.metric, first.after, first.low, first.needed, first.needed_low) == (
        "first",
        "AP50",
        0.857,
        0.835,
        0.2,
        0.1,
    )
    later = verdict_of(decide(ledger, 3, promoted=False, low=-0.01))
    assert (later.kind, later.gain, later.low, later.high) == ("compare", 0.06, -0.01, 0.08)
    assert (later.before, later.after, later.objects) == (0.407, 0.467, 945)


@pytest.mark.parametrize(("low", "mood"), [(0.04, "good"), (-0.01, "bad")])
def test_the_picture_of_a_gain_shows_its_interval_beside_zero(ledger, low, mood):
    row = decide(ledger, 3, promoted=low > 0, low=low)
    picture = parsed(interval(verdict_of(row)))
    (span,) = [one for one in picture if "span" in one.get("class", "")]
    (zero,) = [one for one in picture if one.get("class") == "bound"]
    assert mood in span.get("class")
    assert (float(span.get("x")) > float(zero.get("x1"))) == (low > 0)
    assert f"{low:+.3f}" in picture.get("aria-label")


def test_a_batch_without_a_model_says_that_its_work_is_not_known(ledger, home):
    record(ledger, 1)
    found = batch_of(home, ledger, ledger.rounds(), CostModel())
    assert [(f.rank, f.job_id, f.arm) for f in found.frames] == [
        (1, 17, "strategy"),
        (2, 17, "strategy"),
        (3, 17, "control"),
    ]
    assert (found.round, found.control, found.expected, found.minutes) == (3, 1, None, None)
    assert batch_of(home, ledger, (), CostModel()) is None


def test_the_curve_has_a_point_for_each_judged_model(ledger):
    record(ledger, 1)
    curve = curve_of(ledger.rounds(), ledger.decisions())
    assert [(p.round, p.frames, p.ap, p.promoted) for p in curve.points] == [
        (2, 40, 0.407, True),
        (3, 80, 0.467, True),
    ]
    assert curve.expected is None
    (told,) = advice_of(curve, ledger.rounds(), stop_gain=0.002)
    assert "needs 1 more round " in told
    picture = parsed(learning_curve(curve))
    points = [one for one in picture if "point" in one.get("class", "")]
    assert float(points[0].get("cy")) > float(points[1].get("cy"))


def test_three_rounds_promise_something(ledger):
    record(ledger, 1)
    last = ledger.rounds()[-1]
    ledger.save_round(
        Round(4, 1, "done", figures={**last.figures, "train": 120, "challenger": {"ap": 0.5}})
    )
    curve = curve_of(ledger.rounds(), ledger.decisions())
    assert curve.next_frames == 320 and 0.5 < curve.expected < 0.7
    assert advice_of(curve, ledger.rounds(), stop_gain=0.002)[0].startswith("The next 200 labels")


def test_what_people_did_is_counted_by_round(ledger):
    record(ledger, 1)
    (row,) = corrected_of(ledger.outcomes())
    assert (row.round, row.proposed, row.kept, row.nudged, row.deleted, row.added) == (
        2,
        10,
        6,
        3,
        1,
        2,
    )
    assert row.accepted == 0.6
    widths = [
        float(one.get("width"))
        for one in parsed(
            str(stacked([("kept", row.kept), ("deleted", row.deleted)], row.proposed, "title"))
        )
    ]
    assert widths == [240.0, 40.0]


def test_a_name_in_a_chart_is_escaped():
    assert "<script>" not in str(stacked([("kept", 1)], 1, "<script>"))


def test_of_a_thousand_classes_the_matrix_shows_those_with_the_most_errors():
    counts = [[0] * 1001 for _ in range(1001)]
    counts[700][1000] = 5  # missed
    counts[3][900] = 4
    confusion = Confusion((*(f"c{n}" for n in range(1000)), ""), tuple(map(tuple, counts)))
    shown = worst(confusion)
    assert len(shown) == 41 and shown[-1] == 1000
    assert {3, 700, 900} < set(shown) and shown == sorted(shown)


def test_what_stands_in_backticks_is_shown_as_a_command_and_nothing_is_unescaped():
    assert code("run `a <b>`; <i>") == "run <code>a &lt;b&gt;</code>; &lt;i&gt;"
    assert code("one ` alone <b>") == "one ` alone &lt;b&gt;"
