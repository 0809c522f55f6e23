"""Scores that mean what they say have no error; those that boast have as much as they boast."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from tests.trainer.drawn_models import draw_holdout, draw_model
from trainer.calibration import calibration
from trainer.gate.promote import GateSettings, decide
from trainer.scores import IOU_THRESHOLDS, Evaluation, FrameMatches


def answered(scores, right) -> Evaluation:
    """An evaluation of one frame a hundred answers: scores, and which are right at IoU 0.5."""
    frames = []
    for start in range(0, len(scores), 100):
        part, hits = scores[start : start + 100], right[start : start + 100]
        matched = np.zeros((len(part), len(IOU_THRESHOLDS)), np.bool_)
        matched[:, 0] = hits
        objects = np.array([max(int(hits.sum()), 1)])
        ids = np.zeros(len(part), np.int64)
        frames.append(FrameMatches(f"{start}", objects, ids, part, matched, np.zeros_like(matched)))
    return Evaluation("d", "holdout", "boxes", ("a",), tuple(frames))


def test_honest_scores_have_little_error_and_boasting_ones_as_much_as_they_boast():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.1, 0.8, 20_000)
    right = rng.random(20_000) < truth
    honest = calibration(answered(truth, right))
    boasting = calibration(answered(truth + 0.2, right))
    modest = calibration(answered(np.maximum(truth - 0.1, 0.1), right))

    assert honest.error < 0.02
    assert boasting.error == pytest.approx(0.2, abs=0.02)
    assert boasting.excess == pytest.approx(0.2, abs=0.02)
    assert "overconfident" in boasting.note
    assert modest.excess < 0
    assert "underconfident" in modest.note


def test_bins_hold_every_answer_that_people_are_shown_and_ignored_ones_not():
    scores = np.concatenate([np.full(60, 1.0), np.full(40, 0.35), np.full(100, 0.02)])
    found = calibration(answered(scores, scores > 0.5))
    frame = answered(scores, scores > 0.5).frames[0]
    void = dataclasses.replace(frame, ignored=np.ones_like(frame.ignored))

    assert [(b.answers, b.right) for b in found.bins] == [(40, 0.0), (60, 1.0)]
    assert found.error == pytest.approx(0.4 * 0.35)
    assert calibration(Evaluation("d", "holdout", "boxes", ("a",), (void,))).answers == 0


def test_few_answers_tell_nothing_and_say_so():
    found = calibration(answered(np.full(10, 0.9), np.zeros(10, np.bool_)))

    assert found.error is None
    assert "10 detections" in found.note


def test_the_gate_records_calibration_of_both_and_warns_of_scores_that_mislead():
    rng = np.random.default_rng(1)
    holdout = draw_holdout(rng, 60)
    champion, challenger = (draw_model(rng, holdout, skill=s) for s in (0.0, 0.8))
    modest = dataclasses.replace(
        challenger,
        # Order is kept, so that AP is the same: only what the scores claim changes.
        frames=tuple(
            dataclasses.replace(f, scores=0.1 + 0.1 * f.scores) for f in challenger.frames
        ),
    )
    settings = GateSettings(resamples=100, max_calibration_error=0.4)
    plain = decide(champion, challenger, settings, rng=np.random.default_rng(0))
    warned = decide(champion, modest, settings, rng=np.random.default_rng(0))
    strict = dataclasses.replace(settings, max_calibration_error=0.0)
    always = decide(champion, challenger, strict, rng=np.random.default_rng(0))

    assert plain.promoted
    assert warned.promoted
    figures = json.loads(json.dumps(warned.figures))["calibration"]
    assert figures["challenger"]["error"] > figures["champion"]["error"]
    assert any("scores are poorly calibrated" in reason for reason in warned.reasons)
    assert not any("scores are poorly calibrated" in reason for reason in plain.reasons)
    assert any("the champion's" in reason for reason in always.reasons)
