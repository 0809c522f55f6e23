"""The gate, on matches drawn from models whose true quality is known."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tests.trainer.drawn_models import draw_holdout, draw_model
from trainer.errors import ComparisonError, ConfigError
from trainer.gate.promote import GateSettings, decide
from trainer.scores import Evaluation

QUICK = GateSettings(resamples=200)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def pair(gain: float, *, frames: int = 60, seed: int = 1) -> tuple[Evaluation, Evaluation]:
    draw = rng(seed)
    holdout = draw_holdout(draw, frames)
    return draw_model(draw, holdout, skill=0.0), draw_model(draw, holdout, skill=gain)


def without_class(evaluation: Evaluation, class_id: int) -> Evaluation:
    """The same model, blind to one class."""
    frames = tuple(
        dataclasses.replace(
            f,
            class_ids=f.class_ids[f.class_ids != class_id],
            scores=f.scores[f.class_ids != class_id],
            matched=f.matched[f.class_ids != class_id],
            ignored=f.ignored[f.class_ids != class_id],
        )
        for f in evaluation.frames
    )
    return dataclasses.replace(evaluation, frames=frames)


def test_identical_and_worse_models_seldom_pass_and_clearly_better_ones_do():
    settings = GateSettings(resamples=100)
    passed = {
        gain: sum(
            decide(*pair(gain, frames=30, seed=n), settings, rng=rng(n)).promoted for n in range(24)
        )
        for gain in (-0.3, 0.0, 1.0)
    }

    # Equal quality passes by chance in at most 5 % of cases: 24 draws give 4 or fewer of them
    # with probability 0.99. tests/bench/gate.py counts many more.
    assert passed[-0.3] == 0
    assert passed[0.0] <= 4
    assert passed[1.0] >= 23


def test_the_very_same_answers_are_no_gain():
    champion, _ = pair(0.5)
    decision = decide(champion, champion, QUICK, rng=rng())

    assert not decision.promoted
    assert "too small" in decision.reasons[0]
    assert (decision.figures["gain"], decision.figures["gain_low"]) == (0.0, 0.0)


def test_a_win_is_told_with_its_figures_and_they_are_json():
    decision = decide(*pair(0.6), QUICK, rng=rng())
    figures = json.loads(json.dumps(decision.figures))

    assert decision.promoted
    assert f"{figures['champion']:.3f} to {figures['challenger']:.3f}" in decision.reasons[0]
    assert "60 holdout frames" in decision.reasons[0]
    assert 0 < figures["gain_low"] < figures["gain"] < figures["gain_high"]
    assert figures["gain"] == pytest.approx(figures["challenger"] - figures["champion"])


def test_the_same_seed_gives_the_same_decision():
    assert decide(*pair(0.2), QUICK, rng=rng(3)) == decide(*pair(0.2), QUICK, rng=rng(3))


def test_a_gain_below_the_minimum_is_refused_and_says_what_was_asked():
    settings = dataclasses.replace(QUICK, min_gain=0.5)
    decision = decide(*pair(0.6), settings, rng=rng())

    assert not decision.promoted
    assert "+0.500 is required" in decision.reasons[0]


def test_a_class_that_falls_keeps_the_champion_and_is_named():
    champion, better = pair(1.0)
    decision = decide(champion, without_class(better, 1), QUICK, rng=rng())

    assert not decision.promoted
    assert any("Class b falls" in r and "to 0.000" in r for r in decision.reasons)


def test_a_class_of_too_few_objects_is_not_judged_but_told():
    champion, better = pair(1.0)
    few = better.objects["c"] + 1
    settings = dataclasses.replace(QUICK, min_class_objects=few)
    decision = decide(champion, without_class(better, 2), settings, rng=rng())

    assert not any("Class c falls" in r for r in decision.reasons)
    assert any(f"Class c does not count: it has {few - 1} objects" in r for r in decision.reasons)


def test_a_small_holdout_keeps_the_champion_and_says_why():
    decision = decide(*pair(1.0, frames=6), QUICK, rng=rng())

    assert not decision.promoted
    assert "6 holdout frames are too few" in decision.reasons[0]


def test_frames_of_one_video_count_as_one_draw():
    """Sixty frames of two videos say less than sixty frames of sixty places."""
    champion, challenger = pair(0.3)
    videos = {f.file_name: f"video {n % 2}" for n, f in enumerate(champion.frames)}
    alone = decide(champion, challenger, QUICK, rng=rng())
    grouped = decide(champion, challenger, QUICK, rng=rng(), groups=videos)
    one = decide(
        champion, challenger, QUICK, rng=rng(), groups=dict.fromkeys(videos, "the only video")
    )

    assert alone.figures["gain"] == grouped.figures["gain"]
    assert grouped.figures["gain_low"] != alone.figures["gain_low"]
    assert not one.promoted


@pytest.mark.parametrize(("floor", "promoted"), [(0.1, True), (0.9, False)])
def test_the_first_model_must_reach_a_floor(floor: float, promoted: bool):
    first, _ = pair(0.0)
    settings = dataclasses.replace(QUICK, min_first_metric=floor)
    decision = decide(None, first, settings, rng=rng())

    assert decision.promoted is promoted
    assert f"must reach {floor:.3f}" in decision.reasons[0]


def test_a_holdout_without_objects_judges_nobody():
    draw = rng()
    holdout = [(np.zeros(3, np.int64), 0.0)] * 20
    empty = draw_model(draw, holdout, skill=0.0)
    for champion in (None, empty):
        decision = decide(champion, empty, QUICK, rng=draw)

        assert not decision.promoted
        assert "no object" in decision.reasons[0]


def test_other_frames_labels_or_snapshots_cannot_be_compared_and_every_difference_is_told():
    champion, challenger = pair(0.0)
    other = dataclasses.replace(
        challenger, labels=("a", "b", "x"), split="test", frames=challenger.frames[1:]
    )
    with pytest.raises(ComparisonError) as caught:
        decide(champion, other, QUICK, rng=rng())

    assert len(caught.value.differences) == 3
    assert "1 in one alone: 000.png" in str(caught.value)
    with pytest.raises(ComparisonError, match="same snapshot"):
        decide(champion, dataclasses.replace(challenger, dataset="other"), QUICK, rng=rng())


def test_settings_tell_every_fault():
    with pytest.raises(ConfigError) as caught:
        GateSettings(metric="f1", min_gain=-1, confidence=1.0)

    assert len(caught.value.faults) == 3
