"""Thresholds learnt from what people did, and those that a person chose."""

from __future__ import annotations

import numpy as np
import pytest

from cvat_bridge.config import Config
from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import ConfigError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Correction, KnownLabel, Round
from cvat_bridge.settings import RoundSettings
from cvat_bridge.thresholds.choices import chosen_thresholds, use_thresholds
from cvat_bridge.thresholds.least_cost import correction_seconds, saved_by_score
from cvat_bridge.thresholds.proposed import proposed_thresholds
from cvat_bridge.thresholds.rule import DrawingSeconds, sentences, shown_from
from trainer.calibration.worth import BOX_SECONDS, OUTLINE_SECONDS


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as found:
        yield found


def seen(rng, count, right, *, low=0.05, label="cell", job=1):
    """Corrections of proposals; right: score → chance of being kept."""
    return [
        Correction(
            1,
            job,
            n % 10,
            n,
            "kept" if rng.random() < right(s) else "deleted",
            label,
            "",
            None,
            float(s),
            "m",
        )
        for n, s in enumerate(rng.uniform(low, 1, count))
    ]


def test_the_threshold_is_where_showing_begins_to_save():
    rows = seen(np.random.default_rng(0), 4000, lambda s: s)
    # kept: 10 - 1.5; deleted: -3; so from p = 3 / 11.5 on
    assert saved_by_score(rows, BOX_SECONDS).threshold == pytest.approx(3 / 11.5, abs=0.06)
    outline = saved_by_score(rows, OUTLINE_SECONDS).threshold
    assert outline < 0.15


def test_a_model_that_is_always_wrong_is_never_shown():
    rows = seen(np.random.default_rng(0), 500, lambda _: 0.0)
    assert saved_by_score(rows, BOX_SECONDS).threshold > 0.99


def test_few_corrections_move_the_threshold_little():
    few = saved_by_score([], BOX_SECONDS).threshold
    assert few == pytest.approx(BOX_SECONDS.worth_from(0.5), abs=0.02)
    one = seen(np.random.default_rng(1), 1, lambda _: 0.0)
    assert saved_by_score(one, BOX_SECONDS).threshold == pytest.approx(few, abs=0.08)


def test_seconds_of_correction_count_what_is_shown_and_what_is_drawn():
    def row(outcome, score):
        return Correction(1, 1, 0, 0, outcome, "cell", "cell", 0.9, score, "m")

    rows = [
        row("kept", 0.9), row("nudged", 0.8), row("redrawn", 0.7), row("deleted", 0.6),
        row("kept", 0.2), row("deleted", 0.2), row("added", None),
    ]  # fmt: skip
    shown = 1.5 + (1.5 + 6) + (1.5 + 1.5 + 10) + (1.5 + 1.5)
    assert correction_seconds(rows, 0.5, BOX_SECONDS) == pytest.approx(shown + 10 + 0 + 10)
    assert correction_seconds(rows, 2.0, BOX_SECONDS) == pytest.approx(50)


def record(ledger, rows, *, calibrated=True, shown=0.35):
    ledger.set_labels([KnownLabel(1, "cell", "rectangle"), KnownLabel(2, "debris", "rectangle")])
    figures = {"shown_from": {"scores": {"cell": shown}, "basis": {}, "calibrated": calibrated}}
    ledger.save_round(Round(1, 1, "done", figures=figures))
    ledger.set_corrections(1, rows)


def test_the_page_proposes_with_the_expected_saving_and_says_where_it_cannot(ledger):
    rng = np.random.default_rng(0)
    record(ledger, seen(rng, 900, lambda s: float(s > 0.7), low=0.35))

    cell, debris = proposed_thresholds(Config(), ledger)

    assert (cell.now, cell.proposals) == (0.35, 900)
    assert cell.score == pytest.approx(0.69, abs=0.03)
    wrong = [s for s in (row.score for row in ledger.corrections()) if s < cell.score]
    assert cell.saves == pytest.approx(100 * 3 * len(wrong) / 10, rel=0.1)
    assert "against 0.35 that saves about" in cell.sentence
    assert debris.score is None
    assert "0 of 30 corrected proposals" in debris.sentence


def test_scores_that_were_not_calibrated_are_no_evidence(ledger):
    record(ledger, seen(np.random.default_rng(0), 300, lambda s: s), calibrated=False)
    assert {row.score for row in proposed_thresholds(Config(), ledger)} == {None}


def test_a_choice_goes_before_everything_until_it_is_taken_back(ledger):
    record(ledger, seen(np.random.default_rng(0), 300, lambda s: s))
    label = {"cell": Label(1, "cell", "rectangle")}

    def shown():
        chosen = {name: row.score for name, row in chosen_thresholds(ledger).items()}
        settings = RoundSettings(min_scores={"cell": 0.2})
        seconds = DrawingSeconds(BOX_SECONDS, OUTLINE_SECONDS)
        return shown_from(
            None, label, task="boxes", settings=settings, seconds=seconds, chosen=chosen
        )

    use_thresholds(ledger, {"cell": 0.6}, who="mira", now="2026-03-01")
    assert (shown().scores, shown().basis) == ({"cell": 0.6}, {"cell": "chosen"})
    assert sentences(shown().to_json()) == ("cell from 0.60: as a person chose on the page.",)
    assert proposed_thresholds(Config(), ledger)[0].now == 0.6
    use_thresholds(ledger, {"cell": None}, who="ann", now="2026-03-02")
    assert (shown().scores, shown().basis) == ({"cell": 0.2}, {"cell": "configuration"})
    rows = ledger.people.threshold_choices()
    assert [(row.score, row.who) for row in rows] == [(0.6, "mira"), (None, "ann")]


def test_choosing_twice_records_once_and_a_fault_records_nothing(ledger):
    record(ledger, [])
    for _ in range(2):
        use_thresholds(ledger, {"cell": 0.6}, who="mira", now="2026-03-01")
    with pytest.raises(ConfigError) as caught:
        use_thresholds(ledger, {"debris": 0.5, "cell": 0.0, "dog": 0.5}, who="m", now="")
    assert len(caught.value.faults) == 2
    assert len(ledger.people.threshold_choices()) == 1
