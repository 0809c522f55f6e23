"""Matches at any threshold, bounds that hold, slices that are found and not made up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cvat_bridge.blindspots.at_threshold import at_threshold, confusion
from cvat_bridge.blindspots.bounds import bounds, count_share
from cvat_bridge.blindspots.conditions import conditions_of, key_of, read_key
from cvat_bridge.blindspots.failure_similarity import weigh
from cvat_bridge.blindspots.queries import blind_spots
from cvat_bridge.blindspots.slicing import ConditionCells, SliceableBoxes, find
from cvat_bridge.evaluations.appearance import AppearanceStore
from cvat_bridge.evaluations.attributes import box_attributes, measure_appearance
from cvat_bridge.evaluations.evaluated_frames import EvaluatedFrame, FrameLocation
from cvat_bridge.evaluations.matching import match_boxes
from cvat_bridge.evaluations.recording import evaluate_frames, record
from cvat_bridge.evaluations.table import read_evaluation, write_table
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Judgement, Request
from tests.fakes.old_ledger import write_old_ledger
from trainer.detections import Detections
from trainer.embedding import Descriptor
from trainer.errors import ImageError

NONE = np.zeros((0, 4))
CLASSES = ("cat", "dog")


def frame(n: int, truth, answers, *, width: int = 100, height: int = 100) -> EvaluatedFrame:
    """truth: (class, box); answers: (class, score, box), best first."""
    pixels = np.full((height, width, 3), 20 * (n % 10), np.uint8)
    return EvaluatedFrame(
        FrameLocation(1, n, 7, f"{n:064x}", ".png", width, height),
        np.array([box for _, box in truth], float).reshape(-1, 4),
        tuple(name for name, _ in truth),
        NONE,
        Detections(
            np.array([box for _, _, box in answers], np.float32).reshape(-1, 4),
            np.array([score for _, score, _ in answers], np.float32),
            np.array([CLASSES.index(name) for name, _, _ in answers], np.int64),
        ),
        lambda: pixels,
    )


@pytest.fixture
def looks(tmp_path):
    with AppearanceStore(tmp_path / "looks", Descriptor()) as store:
        yield store


def judged_of(frames, looks):
    return evaluate_frames(frames, model="m", classes=CLASSES, names=CLASSES, appearance=looks)[0]


HERE, NEAR, FAR = (10, 10, 30, 30), (20, 10, 40, 30), (60, 60, 90, 90)
# One frame of each kind of error; IoU of HERE and NEAR is 1/3.
KINDS = [
    ("found", [("cat", HERE)], [("cat", 0.9, HERE)]),
    ("missed", [("cat", HERE)], []),
    ("wrong class", [("cat", HERE)], [("dog", 0.9, HERE)]),
    ("loose box", [("cat", HERE)], [("cat", 0.9, NEAR)]),
    ("ghost", [("cat", HERE)], [("cat", 0.9, HERE), ("dog", 0.8, FAR)]),
]


@pytest.mark.parametrize(("kind", "truth", "answers"), KINDS, ids=[row[0] for row in KINDS])
def test_each_kind_of_error_is_told_and_stands_in_its_cell(kind, truth, answers, looks):
    judged = judged_of([frame(0, truth, answers)], looks)
    at = at_threshold(judged, 0.5)
    table = np.array(confusion(judged, at).counts)

    cells = {
        "found": {(0, 0): 1},
        "missed": {(0, 2): 1},
        "wrong class": {(0, 1): 1},
        "loose box": {(0, 2): 1, (2, 0): 1},
        "ghost": {(0, 0): 1, (2, 1): 1},
    }
    found = {(int(i), int(j)): int(table[i, j]) for i, j in zip(*np.nonzero(table), strict=True)}
    assert found == cells[kind]


def test_one_matching_serves_every_threshold(looks):
    """Dropping the answers below a threshold first gives the same matches."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        corner = rng.uniform(0, 60, (12, 2))
        truth = np.concatenate([corner[:6], corner[:6] + 25], axis=1)
        boxes = np.concatenate([corner, corner + 25], axis=1) + rng.normal(0, 4, (12, 4))
        ids, told = rng.integers(0, 2, 6), rng.integers(0, 2, 12)
        scores = rng.random(12)
        whole = match_boxes(truth, ids, NONE, boxes, told, scores)
        for threshold in (0.2, 0.5, 0.8):
            kept = scores >= threshold
            part = match_boxes(truth, ids, NONE, boxes[kept], told[kept], scores[kept])
            found = (whole.found >= 0) & (np.append(whole.scores, -1)[whole.found] >= threshold)
            assert (found == (part.found >= 0)).all()
            assert (whole.right[whole.scores >= threshold] == part.right).all()


def test_answers_in_a_crowd_region_are_not_judged():
    crowd = np.array([[50.0, 50, 100, 100]])
    one = match_boxes(NONE, np.zeros(0, np.int64), crowd, np.array([FAR]), np.array([0]),
                      np.array([0.9]))  # fmt: skip

    assert len(one.scores) == 0


def test_attributes_are_measured_in_shares_of_the_frame():
    rows = box_attributes(np.array([[0.0, 40, 40, 60], [45, 40, 65, 60]]), 200, 100)

    assert rows[0] == pytest.approx([(800 / 20000) ** 0.5, 1.0, 0.0, 1.0])
    assert rows[1][2] == pytest.approx(0.4)
    sharp = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    soft = np.repeat(np.repeat(sharp[::16, ::16], 16, axis=0), 16, axis=1)
    assert measure_appearance(sharp).sharpness > measure_appearance(soft).sharpness
    assert measure_appearance(np.full((8, 8, 3), 255, np.uint8)).brightness == pytest.approx(1.0)


def test_bounds_hold_at_least_as_often_as_they_say_when_frames_fail_together():
    rng = np.random.default_rng(0)
    passed = 0
    for _ in range(400):
        chance = np.clip(rng.normal(0.7, 0.25, 40), 0, 1)  # each frame's own
        hits = rng.binomial(12, chance)
        low, _ = bounds(count_share(np.full(40, 12.0), hits.astype(float)), 0.05)
        passed += low > 0.69  # the true mean after clipping lies between 0.68 and 0.69
    assert passed / 400 <= 0.075


def drawn(rng, *, blind: bool):
    """Draw objects in frames with three attributes; blind: those of (0=1, 1=0) fail."""
    cluster = np.repeat(np.arange(150), 10)
    codes = np.stack([rng.integers(0, 2, 1500), rng.integers(0, 3, 1500), cluster % 3]).astype(
        np.int32
    )
    fails = (codes[0] == 1) & (codes[1] == 0) if blind else np.zeros(1500, bool)
    hard = rng.normal(0, 0.6, 150)[cluster]
    chance = 1 / (1 + np.exp(-(np.where(fails, -1.0, 1.7) + hard)))
    return codes, rng.random(1500) < chance, cluster


class Known:
    """Three attributes of two, three and three values."""

    class _One:
        def __init__(self, many: int) -> None:
            self.conditions = tuple(range(many))

    attributes = (_One(2), _One(3), _One(3))


def slices_of(codes, right, cluster, confidence=0.95):
    boxes = SliceableBoxes(ConditionCells(Known, codes), np.ones(len(right), bool), right, cluster)
    boxes.level = (1 - confidence) / (2 * boxes.compared)
    return find(boxes)


def test_a_pair_that_fails_is_named_alone_and_not_its_parts():
    for seed in range(5):
        found = slices_of(*drawn(np.random.default_rng(seed), blind=True))
        assert [one.where for one in found] == [((0, 1), (1, 0))]


def test_where_nothing_fails_more_than_the_rest_no_slice_is_named():
    claims = [slices_of(*drawn(np.random.default_rng(seed), blind=False)) for seed in range(60)]

    assert sum(map(len, claims)) <= 3  # 0.05 a page are allowed


def test_a_record_and_a_slices_key_come_back_as_they_were_written(looks, tmp_path):
    frames = [frame(n, [("cat", HERE), ("dog", FAR)], [("cat", 0.9, HERE)]) for n in range(12)]
    judged = judged_of(frames, looks)
    back = read_evaluation(tmp_path, write_table(tmp_path, judged))
    known = conditions_of(back)

    assert back.classes == CLASSES and back.cuts == dict(judged.cuts)
    assert (back.objects.found == judged.objects.found).all()
    assert list(back.frames.image) == list(judged.frames.image)
    where = ((0, 1), (2, 1))
    parts = [known.attributes[a].conditions[c] for a, c in where]
    assert read_key(known, key_of(parts)) == where
    with pytest.raises(ValueError, match="no slice"):
        read_key(known, "class=horse")


def test_likeness_learns_which_feature_tells_failures_and_follows_no_false_one():
    rng = np.random.default_rng(1)
    judged = rng.normal(size=(200, 2)).astype(np.float32)
    failed = judged[:, 0] > 0.8
    pool = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]], np.float32)
    chance = weigh(judged, failed, pool)

    assert chance[0] > 0.8 > chance[1] and chance[2] < 0.1


def test_an_old_ledger_is_taken_over_and_wishes_are_numbered_once(tmp_path):
    path = tmp_path / "ledger.db"
    write_old_ledger(path, 2)
    wish = Request("k", 0, "mona", "Cats", "class=cat", "m", "now", {"frames": ["1/0"]})
    with Ledger(path) as ledger:
        assert [row.name for row in ledger.labels()] == ["cat"]
        first, again = ledger.open_request(wish), ledger.open_request(wish)
        other = ledger.open_request(Request("k2", 0, "x", "y", "", "m", "now", {}))
        row = Judgement("m", "holdout", 1, 2, 3, 4, 0.5, "f", "c", "2026")
        ledger.save_judgement(row)
        ledger.save_judgement(row)

        assert (first.number, again, other.number, other.round) == (1, first, 2, -2)
        assert ledger.judgements() == (row,)


@pytest.mark.parametrize("answers", [[], [("dog", 0.9, HERE)]])
def test_frames_without_any_object_give_a_page(answers, looks, tmp_path):
    home = Home(tmp_path / "home")
    with Ledger(home.ledger) as ledger:
        record(
            home,
            ledger,
            [frame(n, [], answers) for n in range(3)],
            model="m",
            source="holdout",
            number=1,
            classes=CLASSES,
            names=CLASSES,
            appearance=looks,
            threshold=None,
            now="2026",
        )
        page = blind_spots(home, ledger, model="m", source="holdout")

    assert page.recall.value is None
    assert page.slices == ()
    assert page.kinds["ghost"] == 3 * len(answers)


def test_of_a_thousand_classes_the_matrix_shows_those_that_fail(looks):
    classes = tuple(f"c{n}" for n in range(1000))
    one = replace(frame(0, [], []), boxes=np.array([HERE, FAR], float), labels=("c7", "c990"))
    judged, _ = evaluate_frames([one], model="m", classes=classes, names=classes, appearance=looks)
    table = confusion(judged, at_threshold(judged, 0.5), most=2)

    assert table.names == ("c7", "c990", "") and table.left_out == 998
    assert table.counts[0][2] == table.counts[1][2] == 1


def test_a_frame_that_no_longer_decodes_is_judged_and_not_looked_at(looks):
    def broken():
        raise ImageError("cut off")

    good = [frame(n, [("cat", HERE)], [("cat", 0.9, HERE)]) for n in range(3)]
    judged = judged_of([*good, replace(frame(3, [("cat", HERE)], []), pixels=broken)], looks)

    assert judged.objects.found.tolist() == [0, 1, 2, -1]
    assert np.isnan(judged.frames.brightness).tolist() == [False, False, False, True]
    assert judged.frames.cluster[3] == -1
