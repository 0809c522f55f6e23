"""An object goes before people where looking at it is expected to be quicker than drawing it."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from active_learning.choose import SelectionSettings
from active_learning.measures.cost import CostModel
from cvat_bridge.assembly import round_settings
from cvat_bridge.cli.app import app
from cvat_bridge.config import load_config
from cvat_bridge.cvat.gateway import Label
from cvat_bridge.ledger.records import Correction, Round
from cvat_bridge.loop.choosing import choose_frames
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.predict import predict
from cvat_bridge.loop.prioritise import prioritise, ranked_jobs
from cvat_bridge.loop.results import Results
from cvat_bridge.loop.steps import carry_out
from cvat_bridge.project.facts import gather
from cvat_bridge.settings import UNCALIBRATED, RoundSettings
from cvat_bridge.thresholds.expected_time import expected_seconds
from cvat_bridge.thresholds.round_thresholds import round_thresholds, seconds_of
from cvat_bridge.thresholds.rule import DrawingSeconds, sentences, shown_from
from tests.fakes.detector import ToldDetector
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from trainer.bundles.bundle import read_bundle, write_bundle
from trainer.calibration.score_map import CALIBRATION, ScoreMaps, score_map
from trainer.calibration.worth import BOX_SECONDS, OUTLINE_SECONDS
from trainer.registry.registry import Registry
from trainer.scores import IOU_THRESHOLDS, FrameMatches

SECONDS = DrawingSeconds(BOX_SECONDS, OUTLINE_SECONDS)
CELL, DUST = Label(1, "cell", "rectangle"), Label(2, "dust", "rectangle")
LABELS = {"cell": CELL, "dust": DUST}
EVEN = {"raw": (-14, 14), "right": (-14, 14), "method": "beta", "answers": 400, "hits": 200}
MAPS = ScoreMaps(score_map(**EVEN, fine=100))
SETTINGS = RoundSettings()


def rule(maps=MAPS, labels=None, *, settings=SETTINGS, corrections=(), task="boxes"):
    return shown_from(
        maps,
        labels or LABELS,
        task=task,
        settings=settings,
        seconds=SECONDS,
        corrections=corrections,
    )


def corrected(outcome, score, count, label="cell", number=1):
    final = "" if outcome == "deleted" else label
    return [
        Correction(number, 1, 0, place, outcome, label, final, 0.9, score, "m1")
        for place in range(count)
    ]


# -- the rule ------------------------------------------------------------------------------------


def test_without_a_word_boxes_are_shown_from_the_score_that_saves_time():
    """A look and a removal, 3 s, against 11.5 s less half of the mending."""
    found = rule()

    assert found.scores == {"cell": round(3 / 8.5, 3), "dust": round(3 / 8.5, 3)}
    assert set(found.basis.values()) == {"calibration"}
    assert found.calibrated


def test_what_is_dear_to_draw_is_shown_from_a_lower_score():
    labels = {"cell": CELL, "dust": Label(2, "dust", "polygon"), "any": Label(3, "any", "any")}
    boxes, masks = rule(labels=labels), rule(labels=labels, task="masks")

    assert boxes.scores["dust"] < boxes.scores["cell"] == boxes.scores["any"]
    assert masks.scores["any"] == boxes.scores["dust"]


def test_the_configuration_goes_before_and_old_files_keep_their_number(tmp_path):
    path = tmp_path / "bridge.yaml"
    given = {"min_score": 0.3, "min_scores": {"dust": 0.7}}
    path.write_text(json.dumps({"pre_annotation": given}))
    old = rule(settings=round_settings(load_config(path)))
    path.write_text(json.dumps({"pre_annotation": {"min_scores": {"dust": 0.7}}}))
    mixed = rule(settings=round_settings(load_config(path)))

    assert old.scores == {"cell": 0.3, "dust": 0.7}
    assert set(old.basis.values()) == {"configuration"}
    assert mixed.scores == {"cell": pytest.approx(3 / 8.5, abs=1e-3), "dust": 0.7}
    assert mixed.basis == {"cell": "calibration", "dust": "configuration"}


def test_a_model_without_calibration_falls_back_and_says_so():
    found = rule(None)

    assert found.scores == dict.fromkeys(LABELS, UNCALIBRATED)
    (told,) = sentences(found.to_json())
    assert told.startswith("cell from 0.40, dust from 0.40: a fixed score")
    assert "not calibrated" in told


def test_many_corrections_move_the_threshold_of_their_label_alone():
    useless = corrected("deleted", 0.45, 60)
    useful = corrected("kept", 0.45, 60)
    worse, better = rule(corrections=useless), rule(corrections=useful)

    assert worse.scores["cell"] > rule().scores["cell"] + 0.1
    assert better.scores["cell"] <= rule().scores["cell"]
    assert worse.scores["dust"] == better.scores["dust"] == rule().scores["dust"]
    assert worse.basis == {"cell": "corrections", "dust": "calibration"}


def test_few_corrections_say_nothing_and_a_few_more_do_not_overturn_the_calibration():
    few = rule(corrections=corrected("deleted", 0.45, 29))
    some = rule(corrections=corrected("deleted", 0.45, 15) + corrected("kept", 0.45, 15))

    assert few == rule()
    assert some.basis["cell"] == "corrections"
    assert some.scores["cell"] == pytest.approx(rule().scores["cell"], abs=0.06)


def test_mending_costs_so_what_is_always_nudged_is_shown_later_than_what_is_kept():
    shares = [("deleted", 15), ("nudged", 45)], [("deleted", 15), ("kept", 45)]
    nudged, kept = (
        rule(corrections=[row for what, n in each for row in corrected(what, 0.35, n)])
        for each in shares
    )

    assert nudged.scores["cell"] > kept.scores["cell"]


def test_the_seconds_of_the_library_the_trainer_and_the_configuration_are_the_same(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text("{}")
    cost = CostModel()

    assert seconds_of(load_config(path)) == SECONDS
    assert (cost.add, cost.verify, cost.fix, cost.delete) == dataclasses.astuple(BOX_SECONDS)


# -- the evaluator -------------------------------------------------------------------------------


def frame(scores, right, fine, objects, ids=None):
    matched = np.zeros((len(scores), len(IOU_THRESHOLDS)), np.bool_)
    matched[:, 0] = right
    matched[:, IOU_THRESHOLDS.index(0.8)] = fine
    ids = np.zeros(len(scores), np.int64) if ids is None else np.array(ids)
    void = np.zeros_like(matched)
    return FrameMatches("f", np.array(objects), ids, np.array(scores, float), matched, void)


def test_seconds_are_counted_shape_by_shape():
    one = frame([0.9, 0.8, 0.7, 0.2], [True, True, False, True], [True, False, False, True], [4])

    found = expected_seconds([one], ["cell"], {"cell": 0.5}, {"cell": BOX_SECONDS})

    # Three looks, one mended, one removed, two of four drawn; the fourth answer is not shown.
    assert found == (3 * 1.5 + 6 + 1.5 + 2 * 10, 40.0)
    nothing = expected_seconds([one], ["cell"], {}, {"cell": BOX_SECONDS})
    assert nothing == (40.0, 40.0)


@pytest.mark.parametrize("each", [BOX_SECONDS, OUTLINE_SECONDS])
def test_where_scores_are_true_no_other_threshold_saves_more_and_none_is_lost(each):
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(300):
        scores = rng.uniform(0, 1, 12)
        right = rng.random(12) < scores
        fine = right & (rng.random(12) < 0.5)
        frames.append(frame(scores, right, fine, [int(right.sum()) + 1]))

    def spent(least):
        with_, without = expected_seconds(frames, ["cell"], {"cell": least}, {"cell": each})
        return with_ / without

    start = each.worth_from(0.5)

    assert spent(start) < 1
    assert all(spent(start) <= spent(other) + 0.005 for other in np.linspace(0.1, 1, 19))


# -- a round -------------------------------------------------------------------------------------

PICTURES = {n: picture(n) for n in range(4)}
TOLD = {
    content: [("cell", 0.30 + n / 25, (4.0, 5.0, 24.0, 25.0))] for n, content in PICTURES.items()
}


class Loop:
    """A project whose model is a bundle of the registry, with or without a calibration."""

    def __init__(self, server, ledger, home, *, calibrated):
        project = server.add_project("cells", ["cell"])
        server.add_task(project.id, {f"{n}.png": data for n, data in PICTURES.items()})
        path = home.root / "bridge.yaml"
        path.write_text(json.dumps({"home": str(home.root), "cvat": {"project": project.id}}))
        self.config, self.path = load_config(path), path
        weights = home.root / "weights"
        weights.write_text("one")
        bundle = write_bundle(
            home.root / "made",
            files={"model.onnx": weights},
            name="one",
            engine="centernet",
            task="boxes",
            labels=("cell",),
            input_size=(32, 32),
            extra={CALIBRATION: MAPS.to_json()} if calibrated else {},
        )
        settings = dataclasses.replace(
            round_settings(self.config),
            budget=4,
            selection=SelectionSettings(strategy="random", control_share=0.0),
        )
        self.server, self.project = server, project
        registry = Registry(None, home.root)
        self.parts = Parts(self.config, settings, FakeGateway(server), ledger, home, registry)
        self.model = registry.register(self.parts.key, bundle).bundle
        self.round(1)

    def round(self, number):
        parts = self.parts
        parts.ledger.save_round(Round(number, self.project.id, "done"))
        facts = gather(parts.gateway, parts.ledger, self.project.id, parts.settings)
        same = {"home": parts.home, "settings": parts.settings}
        seen = predict(
            *(parts.gateway, parts.ledger, facts),
            detector=ToldDetector(["cell"], TOLD),
            model=self.model,
            **same,
        )
        choose_frames(parts.ledger, facts, seen, number=number, **same, state=_state())
        prioritise(parts.gateway, parts.ledger, facts, number=number, **same)
        jobs = ranked_jobs(parts.gateway, parts.ledger, number=number)
        self.answer = self.preannotated(number, jobs)
        (row,) = [row for row in parts.ledger.rounds() if row.number == number]
        self.figures = row.figures

    def preannotated(self, number, jobs):
        answers = {"prioritise": {"jobs": list(jobs)}, "decide": {"serves": self.model}}
        return carry_out(self.parts, "preannotate", number, Results.of(answers))

    def status(self):
        done = CliRunner().invoke(app, ["status", "--config", str(self.path)])
        if done.exception is not None:
            raise done.exception
        return " ".join(done.stdout.split())  # as it is read, whatever the lines' lengths


def _state():
    from active_learning.pool import ProjectState

    return ProjectState(labelled=4, trusted=True, class_names=("cell",))


def test_a_round_shows_by_the_rule_records_it_and_status_says_it(server, ledger, home):
    loop = Loop(server, ledger, home, calibrated=True)

    # 0.30, 0.34, 0.38 and 0.42 were found; 0.353 is where a look is worth it.
    assert loop.answer.proposed == {"cell": 2}
    assert loop.figures["shown_from"]["scores"] == {"cell": 0.353}
    assert "pre-annotates cell from 0.35: where a look is expected to be quicker" in loop.status()


def test_an_uncalibrated_champion_shows_from_a_fixed_score_and_status_says_why(
    server, ledger, home
):
    loop = Loop(server, ledger, home, calibrated=False)

    assert loop.figures["shown_from"]["basis"] == {"cell": "uncalibrated"}
    assert loop.answer.proposed == {"cell": 1}
    assert "scores are not calibrated" in loop.status()


def test_a_class_that_is_withheld_has_no_threshold_to_speak_of(server, ledger, home):
    parts = Loop(server, ledger, home, calibrated=True).parts
    bundle = read_bundle(home.root / "made")
    given = {"config": parts.config, "settings": parts.settings}

    shown = round_thresholds(ledger, bundle, parts.labels(), {}, **given)
    held = round_thresholds(
        ledger, bundle, parts.labels(), {}, withheld={"cell": "it is found too seldom"}, **given
    )

    assert set(shown.scores) == {"cell"}
    assert held.scores == {}
    assert sentences(held.to_json()) == ()


def test_corrections_of_calibrated_rounds_alone_teach_the_next_round(server, ledger, home):
    loop = Loop(server, ledger, home, calibrated=True)
    ledger.save_round(Round(7, loop.project.id, "done", figures={}))

    def again(number):
        ledger.set_corrections(1, corrected("deleted", 0.45, 60, number=number))
        loop.preannotated(1, [1])
        (row,) = [row for row in ledger.rounds() if row.number == 1]
        return row.figures["shown_from"]

    of_old, of_calibrated = again(7), again(1)

    assert of_old["basis"] == {"cell": "calibration"}
    assert of_calibrated["basis"] == {"cell": "corrections"}
    assert of_calibrated["scores"]["cell"] > of_old["scores"]["cell"]
