"""A model and its classes judged by themselves, on matches of known quality."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
import pytest

from trainer.gate.promote import GateSettings, decide
from trainer.gate.usefulness import Usefulness, UsefulnessScore, usefulness
from trainer.scores import Evaluation, FrameMatches

SETTINGS = GateSettings(resamples=200)
LABELS = ("common", "rare")


def evaluated(frames: Sequence[Sequence[tuple[int, bool]]]) -> Evaluation:
    """An object of a class a row, and whether it was found; each miss is a false answer too."""
    rows = []
    for number, objects in enumerate(frames):
        classes = np.array([class_id for class_id, _ in objects], np.int64)
        found = np.array([hit for _, hit in objects], bool).reshape(-1, 1)
        matched = np.repeat(found, 10, axis=1)
        rows.append(
            FrameMatches(
                f"{number:03d}.png",
                np.bincount(classes, minlength=2).astype(np.int64),
                classes,
                np.where(found[:, 0], 0.9, 0.3),
                matched,
                np.zeros_like(matched),
            )
        )
    return Evaluation("drawn", "holdout", "boxes", LABELS, tuple(rows))


def judged(frames, **more) -> Usefulness:
    return usefulness(evaluated(frames), SETTINGS, rng=np.random.default_rng(1), **more)


GOOD = [[(0, True), (1, True)]] * 8
MIXED = [[(0, True), (0, True), (1, False)]] * 8


def test_a_class_is_good_although_another_is_not():
    found = judged(MIXED)

    assert found.classes["common"] == UsefulnessScore(pytest.approx(1.0), pytest.approx(1.0), 16)
    assert found.classes["rare"] == UsefulnessScore(0.0, 0.0, 8)
    assert {name: one.use(SETTINGS) for name, one in found.classes.items()} == {
        "common": "useful",
        "rare": "weak",
    }
    assert found.useful_classes(SETTINGS) == ("common",)


def test_the_lower_bound_lies_below_the_figure_and_rises_with_the_frames():
    half = [[(0, True)], [(0, False)]]
    few, many = judged(half * 3).whole, judged(half * 30).whole

    assert few.ap50 == pytest.approx(many.ap50, abs=0.02)
    assert few.low < many.low < many.ap50


def test_one_frame_or_few_objects_are_sure_of_nothing():
    alone = judged([[(0, True)] * 9])
    few = judged([[(0, True)]] * 4)

    assert (alone.whole.ap50, alone.whole.low) == (pytest.approx(1.0), 0.0)
    assert alone.whole.use(SETTINGS) == few.whole.use(SETTINGS) == "unsure"


def test_a_class_that_a_single_frame_shows_is_never_sure():
    found = judged([[(0, True)]] * 9 + [[(1, True)] * 6])

    assert found.classes["rare"].ap50 == pytest.approx(1.0)
    assert found.classes["rare"].low == 0.0
    assert found.classes["rare"].use(SETTINGS) == "unsure"


def test_frames_of_a_video_are_drawn_together_but_a_single_video_frame_by_frame():
    frames = [[(0, True)], [(0, False)]] * 6
    names = [f"{n:03d}.png" for n in range(12)]
    apart = judged(frames).whole.low
    by_outcome = judged(frames, groups={name: str(n % 2) for n, name in enumerate(names)})
    one_video = judged(frames, groups=dict.fromkeys(names, "v"))

    assert by_outcome.whole.low < apart
    assert one_video.whole.low == apart


def test_it_is_kept_as_json():
    found = judged(MIXED)

    assert Usefulness.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("frames", "promoted", "words"),
    [
        (GOOD, True, "AP50 is 1.000 on 8 holdout frames with 16 objects"),
        ([[(0, False), (1, False)]] * 8, False, "0.200 and 0.100 are needed"),
        ([[(0, True)]] * 4, False, "on 5 objects or more"),
        # The mean over the classes alone would refuse it: 0.17 where 0.2 is asked.
        ([[(0, n % 3 == 0), (1, False)] for n in range(24)], True, "common"),
    ],
)
def test_the_first_model_serves_as_a_whole_or_for_its_good_classes(frames, promoted, words):
    decision = decide(None, evaluated(frames), SETTINGS, rng=np.random.default_rng(1))

    assert decision.promoted is promoted
    assert words in decision.reasons[0]


def test_a_weak_first_model_is_not_promoted_for_luck_on_a_few_frames():
    """Found in one frame of eight: the figure may reach the floor, the bound does not."""
    lucky = [[(0, True)] * 2] + [[(0, False)]] * 7
    settings = dataclasses.replace(SETTINGS, useful_ap50=0.15)
    decision = decide(None, evaluated(lucky), settings, rng=np.random.default_rng(1))

    assert decision.figures["usefulness"]["whole"]["ap50"] > settings.useful_ap50
    assert not decision.promoted


def test_a_floor_of_the_team_decides_alone():
    nothing = evaluated([[(0, False)]] * 8)
    asked = dataclasses.replace(SETTINGS, min_first_metric=0.0)

    assert decide(None, nothing, asked, rng=np.random.default_rng(1)).promoted
    assert not decide(None, nothing, SETTINGS, rng=np.random.default_rng(1)).promoted
