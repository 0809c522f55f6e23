"""A fit teaches how its scores are to be read, and what serves reads them so."""

from __future__ import annotations

import dataclasses
import json
import shutil

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serverless.bright_spots import bright_spots
from tests.trainer.shapes import shapes_dataset
from trainer.bundles.bundle import read_bundle, revised
from trainer.calibration import calibration
from trainer.calibration.learn import MIN_DETECTIONS, learn, mapped, unmapped
from trainer.calibration.score_map import CALIBRATION, ScoreMaps, expit, logit, maps_of, score_map
from trainer.calibration.serving import CalibratedDetector
from trainer.calibration.worth import BOX_SECONDS, LEAST, ShapeSeconds, card_thresholds
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import ANNOTATIONS
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset
from trainer.detections import Detections, Mask
from trainer.detector import FitConfig
from trainer.engines import load
from trainer.errors import BundleError, ConfigError
from trainer.evaluation.evaluate import evaluate
from trainer.runs.calibrating import calibrate
from trainer.runs.run import run_fit
from trainer.scores import IOU_THRESHOLDS, Evaluation, FrameMatches

LABELS = ("cell", "dust")


def drawn(rng, truth_of, *, frames=40, each=40, classes=2) -> Evaluation:
    """Answers of random scores, right as often as truth_of(class, scores) says."""
    rows = []
    for n in range(frames):
        ids = rng.integers(0, classes, each)
        scores = expit(rng.normal(-1.5, 1.5, each))
        chance = np.where(ids == 0, truth_of(0, scores), truth_of(1, scores))
        matched = np.zeros((each, len(IOU_THRESHOLDS)), np.bool_)
        matched[:, 0] = rng.random(each) < chance
        matched[:, 1:] = matched[:, :1] & (rng.random(each) < 0.4)[:, None]
        objects = np.bincount(ids[matched[:, 0]], minlength=2) + 1
        rows.append(
            FrameMatches(f"{n}", objects, ids, scores, matched, np.zeros_like(matched, np.bool_))
        )
    return Evaluation("d", "val", "boxes", LABELS, tuple(rows))


def too_modest(class_id, scores):
    return expit(0.8 * logit(scores) + (2.0 if class_id == 0 else 0.5))


def bent(_, scores):
    """Too modest below, too sure above, and flat between: no line in log odds."""
    return np.select([scores < 0.1, scores < 0.5], [scores, np.full(scores.shape, 0.45)], 0.5)


@pytest.mark.parametrize("truth", [too_modest, bent])
def test_on_new_frames_the_mapped_scores_come_true(truth):
    rng = np.random.default_rng(3)
    seen, new = (drawn(rng, truth, frames=100) for _ in range(2))

    maps = learn(seen)
    before, after = calibration(new).error, calibration(mapped(new, maps.of)).error

    assert before > 0.1
    assert after < 0.06
    assert maps.before == pytest.approx(before, abs=0.05)
    assert maps.after < 0.06
    assert set(maps.classes) == set(LABELS)


def test_a_form_that_no_smooth_curve_has_is_learnt_without_form_where_there_is_enough():
    rng = np.random.default_rng(5)

    assert learn(drawn(rng, bent, frames=80)).pooled.method == "isotonic"
    assert learn(drawn(rng, bent, frames=10)).pooled.method == "beta"


def test_classes_differ_where_each_has_evidence_and_share_one_curve_where_not():
    rng = np.random.default_rng(1)
    rich = learn(drawn(rng, too_modest))
    poor = learn(drawn(rng, too_modest, frames=3))

    assert rich.of("cell")(0.2) > rich.of("dust")(0.2) + 0.1
    assert rich.of("cell").answers + rich.of("dust").answers == rich.pooled.answers
    assert poor.classes == {}
    assert poor.of("cell") == poor.of("dust") == poor.pooled
    assert learn(drawn(rng, too_modest, frames=1, each=MIN_DETECTIONS - 1)) is None


def test_a_model_that_is_never_right_gets_low_scores():
    rng = np.random.default_rng(2)
    maps = learn(drawn(rng, lambda _, scores: np.zeros(scores.shape)))

    assert maps.pooled(0.5) < 0.1
    assert maps.pooled(0.9) < 0.2
    assert maps.after is None  # hardly an answer is left to be shown


LEARNT = {
    smooth: learn(drawn(np.random.default_rng(4), too_modest if smooth else bent, frames=80))
    for smooth in (True, False)
}


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=30, unique=True), st.booleans())
def test_the_order_of_scores_and_so_ap_stays(scores, smooth):
    maps = LEARNT[smooth]
    rising = np.sort(np.array(scores))
    there = maps.of("cell")(rising)

    assert (np.diff(there) >= 0).all()
    # Apart where 32-bit scores of a network are: inside one in a million of both ends.
    inner = (rising > 1e-5) & (rising < 1 - 1e-5)
    apart = np.diff(rising[inner]) > 1e-6
    assert (np.diff(there[inner])[apart] > 0).all()
    assert maps.of("cell").inverse(there[inner]) == pytest.approx(rising[inner], abs=1e-6)


def test_what_the_card_keeps_is_read_back_and_what_is_none_is_refused(tmp_path):
    maps = learn(drawn(np.random.default_rng(0), too_modest))
    again = ScoreMaps.from_json(json.loads(json.dumps(maps.to_json())))

    assert again == maps
    for broken in ({}, {**maps.to_json(), "pooled": {"raw": [0, 1]}}):
        with pytest.raises(ConfigError, match="calibration"):
            ScoreMaps.from_json(broken)
    falling = maps.to_json()
    falling["pooled"]["right"] = falling["pooled"]["right"][::-1]
    bundle = bright_spots(tmp_path / "b")
    bundle = revised(bundle, extra={**bundle.card.extra, CALIBRATION: falling})
    with pytest.raises(BundleError, match="rise strictly"):
        load(bundle)


class Told:
    """An engine with fixed answers above the score it is asked for."""

    def __init__(self, found: Detections):
        self.found, self.labels, self.asked = found, LabelMap(LABELS), []

    def detect(self, images, *, min_score):
        self.asked.append(min_score)
        rows = np.flatnonzero(self.found.scores >= min_score)
        picked = dataclasses.replace(
            self.found,
            boxes=self.found.boxes[rows],
            scores=self.found.scores[rows],
            class_ids=self.found.class_ids[rows],
            probabilities=self.found.probabilities[rows],
            masks=tuple(self.found.masks[n] for n in rows),
        )
        return [picked for _ in images]


def answers(rng, count=50, head="sigmoid") -> Detections:
    scores = np.sort(expit(rng.normal(-1, 2, count)))[::-1].astype(np.float32)
    ids = rng.integers(0, 2, count)
    probabilities = np.zeros((count, 2), np.float32)
    rest = 1 - scores if head == "softmax" else scores
    probabilities[np.arange(count), 1 - ids] = rest * 0.9
    probabilities[np.arange(count), ids] = scores
    left = np.arange(count)
    boxes = np.stack([left, np.zeros(count), left + 5, np.full(count, 9)], axis=1)
    masks = tuple(Mask(np.ones((1, 1), np.bool_), n, 0) for n in range(count))
    embedding = np.ones(3, np.float32)
    return Detections(boxes.astype(np.float32), scores, ids, probabilities, masks, embedding, head)


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_a_calibrated_engine_answers_in_probabilities_and_loses_nothing(head):
    rng = np.random.default_rng(8)
    maps, raw = learn(drawn(rng, too_modest)), answers(rng, head=head)
    engine = CalibratedDetector(Told(raw), maps)
    picture = np.zeros((9, 60, 3), np.uint8)

    (everything,) = engine.detect([picture], min_score=0)
    (some,) = engine.detect([picture], min_score=0.6)

    assert len(everything) == len(raw)
    assert engine.raw.asked[0] == 0
    assert (np.diff(everything.scores) <= 0).all()
    where = everything.boxes[:, 0].astype(int)  # the row of the raw answer
    each = [maps.of(LABELS[k]) for k in raw.class_ids]
    wanted = np.array([float(one(s)) for one, s in zip(each, raw.scores, strict=True)])
    assert everything.scores == pytest.approx(wanted[where], abs=1e-6)
    assert everything.class_ids.tolist() == raw.class_ids[where].tolist()
    assert [mask.left for mask in everything.masks] == where.tolist()
    own = everything.probabilities[np.arange(len(where)), everything.class_ids]
    assert own.tolist() == everything.scores.tolist()
    assert everything.embedding.tolist() == raw.embedding.tolist()
    if head == "sigmoid":
        assert (everything.probabilities.max(axis=1) == everything.scores).all()
    else:
        assert (everything.probabilities.sum(axis=1) <= 1 + 1e-5).all()
    # A threshold is one of the calibrated scores, whatever the engine calls them.
    assert some.scores.tolist() == everything.scores[everything.scores >= 0.6].tolist()
    assert 0 < len(some) < len(everything)
    assert engine.raw.asked[1] < 0.6


def spots(folder, *, count=100):
    """Spots of any brightness; the brighter, the likelier somebody marked it. Half is val."""
    rng, images, sources = np.random.default_rng(0), [], {}
    originals = folder.with_name(f"{folder.name}-originals")
    originals.mkdir(parents=True)
    for n in range(2 * count):
        pixels, objects = np.zeros((32, 32, 3), np.uint8), []
        for y, x in [(4, 4), (4, 20), (20, 4), (20, 20)]:
            light = rng.uniform(0.15, 1)
            pixels[y : y + 4, x : x + 4, 2] = round(255 * light)  # red, as OpenCV writes
            if rng.random() < light:
                objects.append(AnnotatedObject(0, (x - 2.0, y - 2.0, x + 6.0, y + 6.0)))
        name = f"{n:03}.png"
        sources[name] = originals / name
        cv2.imwrite(str(sources[name]), pixels)
        part = "val" if n < count else "test"
        images.append(AnnotatedImage(name, 32, 32, part, None, tuple(objects)))
    labels = LabelMap(("red", "green"))
    return write_dataset(folder, labels=labels, images=images, sources=sources)


def test_a_bundle_learns_its_calibration_on_val_and_serves_it(tmp_path):
    plain, told = bright_spots(tmp_path / "plain", gain=12.0), []
    data = spots(tmp_path / "data")
    shutil.copytree(plain.path, tmp_path / "bundle")
    bundle = calibrate(read_bundle(tmp_path / "bundle"), data, told.append)
    raw, served = (evaluate(load(b), data, split="test") for b in (plain, bundle))

    assert bundle.version != plain.version == read_bundle(plain.path).version
    assert read_bundle(bundle.path) == bundle
    assert {step.stage for step in told} == {"calibrate"}
    assert calibration(served).error < min(0.08, calibration(raw).error - 0.05)
    # The order within a class is kept, so what is found is found as well as before.
    assert served.ap == raw.ap
    assert [f.scores.size for f in served.frames] == [f.scores.size for f in raw.frames]
    back = unmapped(served, maps_of(bundle.card))
    assert calibration(back).error == pytest.approx(calibration(raw).error, abs=1e-3)
    # What CVAT's menu shows follows from the calibration.
    assert bundle.card.min_score != plain.card.min_score
    assert LEAST <= bundle.card.min_score_of("red") < 0.6


def test_without_a_val_part_or_with_little_in_it_the_bundle_stays_and_says_why(tmp_path):
    plain = bright_spots(tmp_path / "plain", gain=12.0)
    few = spots(tmp_path / "few", count=3)
    nothing = dataclasses.replace(few, images=few.split("test"))

    for data, why in ((nothing, "has no frame"), (few, f"{MIN_DETECTIONS} are needed")):
        told = []
        assert calibrate(plain, data, told.append) == plain
        assert [why in step.note for step in told if step.stage == "note"] == [True]
        assert "not calibrated" in told[-1].note
    assert not isinstance(load(plain), CalibratedDetector)


def test_a_fit_ends_with_a_calibrated_bundle_and_so_it_does_when_it_was_killed_near_its_end(
    tmp_path,
):
    data = shapes_dataset(tmp_path / "d", train=20, holdout=4)
    path = data.path / ANNOTATIONS
    content = json.loads(path.read_text())
    for row in content["images"][8:20]:
        row["split"] = "val"
    path.write_text(json.dumps(content))
    extra = {"steps": 30, "width": 8}
    config = FitConfig("centernet", batch_size=4, image_size=(48, 64), extra=extra)
    done = run_fit(data.path, config, tmp_path / "run", report=lambda _: None)
    (tmp_path / "run" / "result.json").unlink()
    again = run_fit(data.path, config, tmp_path / "run", report=lambda _: None)

    assert maps_of(done.bundle.card).frames == 12
    assert again.bundle.version == done.bundle.version
    assert again.evaluation.ap == done.evaluation.ap


@given(
    st.builds(
        ShapeSeconds,
        draw=st.floats(1, 100),
        verify=st.floats(0.1, 10),
        fix=st.floats(0, 50),
        delete=st.floats(0, 5),
    ),
    st.floats(0, 1),
)
def test_a_shape_is_shown_from_where_it_saves_and_not_below(seconds, mended):
    start = seconds.worth_from(mended)

    assert LEAST <= start <= 1
    if LEAST < start < 1:
        assert seconds.saved(start + 1e-3, mended) > seconds.saved(start - 1e-3, mended)
        assert seconds.saved(start, mended) == pytest.approx(0, abs=1e-6)
    elif start == LEAST:
        assert seconds.saved(LEAST, mended) >= -1e-9
    else:
        assert seconds.saved(1.0, mended) <= 1e-9


def test_classes_whose_right_boxes_sit_well_are_shown_earlier():
    knots = {"raw": (-14, 14), "right": (-14, 14), "method": "beta", "answers": 400, "hits": 200}
    well, badly = score_map(**knots, fine=190), score_map(**knots, fine=10)

    shown = card_thresholds(ScoreMaps(well, {"cell": well, "dust": badly}), LABELS)

    assert shown["cell"] < shown["dust"]
    assert shown["cell"] == pytest.approx(3 / (11.5 - 6 * 15 / 210), abs=1e-3)
    assert BOX_SECONDS.draw > BOX_SECONDS.fix > BOX_SECONDS.verify
