"""What a manager reads of each decision and of the whole run."""

from __future__ import annotations

import pytest

from cvat_bridge.demo.sentences import (
    against_chance,
    decision_sentence,
    duration,
    frames_to_reach,
)
from tests.cvat_bridge.demo.rows import learnt

CLASSES = {
    "ring": {"judged": True, "champion": 0.5, "challenger": 0.3},
    "disc": {"judged": True, "champion": 0.5, "challenger": 0.49},
    "bar": {"judged": False, "champion": 0.9, "challenger": 0.0},
}
JUDGED = "on the 60 held-out frames, which are never learnt from"


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        (
            learnt(None, 0.41, promoted=True),
            (
                f"This is the first model that is good enough (AP 0.41 {JUDGED}), so it serves in "
                "CVAT."
            ),
        ),
        (
            learnt(0.41, 0.55, promoted=True, gain=0.14, gain_low=0.1),
            (
                f"The new model is better (AP 0.41 before, 0.55 now, {JUDGED}), by more than "
                "chance explains, so it serves in CVAT from now on."
            ),
        ),
        (
            learnt(0.55, 0.54, promoted=False, gain=-0.01),
            (
                f"The new model is not better (AP 0.55 before, 0.54 now, {JUDGED}), "
                "so the model that serves stays."
            ),
        ),
        (
            learnt(0.55, 0.57, promoted=False, gain=0.02, gain_low=-0.01),
            (
                f"The new model looks better (AP 0.55 before, 0.57 now, {JUDGED}), but that may be "
                "chance, so the model that serves stays."
            ),
        ),
        (
            learnt(0.55, 0.6, promoted=False, gain=0.05, gain_low=0.01, classes=CLASSES),
            (
                f"The new model is better on the whole (AP 0.55 before, 0.60 now, {JUDGED}), "
                "but it got worse at ring (0.50 before, 0.30 now), so the model that serves stays."
            ),
        ),
        (
            learnt(None, 0.02, promoted=False, explanation=("The model does not serve yet: …",)),
            "The model does not serve yet: …",
        ),
        (
            learnt(None, None, promoted=False, reason="4 frames to train on, 8 are needed"),
            "No new model was judged: 4 frames to train on, 8 are needed.",
        ),
        (
            learnt(0.5, 0.6, promoted=False, gain=0.1, reason="The holdout cannot judge: leaks."),
            "The model that serves stays: The holdout cannot judge: leaks.",
        ),
    ],
    ids=["first", "better", "worse", "chance", "class", "weak", "nothing learnt", "other"],
)
def test_each_decision_is_one_sentence_with_its_figures(figures, sentence):
    assert decision_sentence(figures) == sentence


def test_the_frames_to_reach_a_figure_lie_on_the_line_between_two_rounds():
    assert frames_to_reach([(10, 0.2), (20, 0.4), (30, 0.3)], 0.3) == pytest.approx(15)
    assert frames_to_reach([(10, 0.5)], 0.3) == 10
    assert frames_to_reach([(10, 0.2)], 0.3) is None


def test_the_loop_is_told_against_chance_also_where_it_loses():
    by_lot = [(10, 0.2), (30, 0.4)]

    assert "at about 20 frames" in against_chance([(10, 0.2), (30, 0.6)], by_lot)
    assert "choosing at random ended higher: AP 0.40 against 0.30" in against_chance(
        [(10, 0.2), (30, 0.3)], by_lot
    )
    assert "equally high, at AP 0.40" in against_chance([(10, 0.2), (30, 0.398)], by_lot)
    assert against_chance([], by_lot) == ""


@pytest.mark.parametrize(
    ("seconds", "told"), [(45, "45 seconds"), (720, "12 minutes"), (5400, "1.5 hours")]
)
def test_times_are_told_as_people_tell_them(seconds, told):
    assert duration(seconds) == told
