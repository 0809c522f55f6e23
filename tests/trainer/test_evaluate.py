"""Average precision is COCO's, of every class, of every resample, and silent where nothing is."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.trainer.shapes import LABELS, shapes_dataset
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask
from trainer.errors import DatasetError
from trainer.evaluation.evaluate import evaluate, evaluate_predictions
from trainer.scores import Evaluation


class Told:
    """A detector that says what the test told it to, frame after frame."""

    def __init__(self, answers, labels=LABELS):
        self.answers, self.labels, self.batches = list(answers), labels, []

    def detect(self, images, *, min_score):
        assert 0 <= min_score <= 1
        self.batches.append(len(images))
        return [self.answers.pop(0) for _ in images]


def answer(rows) -> Detections:
    """Build detections of (box, score, class id), best first."""
    rows = sorted(rows, key=lambda row: -row[1])
    return Detections(
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.float32),
        np.array([r[2] for r in rows], np.int64),
    )


def noisy_answers(dataset, rng, split="holdout"):
    """Answer near the truth: moved, doubled, mislabelled, missed, invented; scores with ties."""
    answers = []
    for image in dataset.split(split):
        rows = []
        boxes = [(o.box, o.class_id) for o in image.objects] + [((5, 5, 30, 30), 0)]
        for box, class_id in boxes:
            for _ in range(int(rng.integers(0, 4))):
                moved = np.clip(np.array(box) + rng.normal(0, 3, 4), 0, [125, 93, 125, 93])
                moved[2:] = np.maximum(moved[2:], moved[:2] + 1)
                kind = class_id if rng.random() < 0.8 else 1 - class_id
                rows.append((moved, float(np.round(rng.random(), 2)), kind))
        answers.append(answer(rows))
    return answers


def reference(dataset, images, answers, iou="bbox"):
    """What pycocotools says: AP and AP50."""
    truth, found = [], []
    for n, image in enumerate(images, 1):
        for item in image.objects:
            x1, y1, x2, y2 = item.box
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": n,
                    "category_id": item.class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": int(item.crowd),
                }
            )
        given = answers[n - 1]
        for box, score, kind in zip(given.boxes, given.scores, given.class_ids, strict=True):
            x1, y1, x2, y2 = (float(v) for v in box)
            found.append(
                {
                    "image_id": n,
                    "category_id": int(kind) + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "score": float(score),
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n} for n in range(1, len(images) + 1)],
            "categories": [{"id": n + 1} for n in range(len(dataset.labels))],
            "annotations": truth,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), iou)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return judge.stats[0], judge.stats[1]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return shapes_dataset(tmp_path_factory.mktemp("shapes") / "d", train=2, holdout=30)


@pytest.mark.parametrize("seed", range(4))
def test_ap_is_that_of_pycocotools(dataset, seed):
    answers = noisy_answers(dataset, np.random.default_rng(seed))

    found = evaluate(Told(answers), dataset)

    assert (found.ap, found.ap50) == pytest.approx(
        reference(dataset, dataset.split("holdout"), answers), abs=1e-12
    )
    assert 0.05 < found.ap < found.ap50 < 0.95


def test_crowd_regions_neither_help_nor_hurt(dataset):
    rng = np.random.default_rng(5)
    images = tuple(
        AnnotatedImage(
            **{
                **vars(image),
                "objects": tuple(
                    AnnotatedObject(o.class_id, o.box, crowd=bool(rng.random() < 0.3))
                    for o in image.objects
                ),
            }
        )
        for image in dataset.split("holdout")
    )
    crowded = Dataset(dataset.path, dataset.labels, images)
    answers = noisy_answers(crowded, rng)

    found = evaluate(Told(answers), crowded)

    assert (found.ap, found.ap50) == pytest.approx(reference(crowded, images, answers), abs=1e-12)


def test_scores_of_a_resample_are_those_of_the_repeated_frames(dataset):
    """What the paired bootstrap rests on."""
    rng = np.random.default_rng(1)
    answers = noisy_answers(dataset, rng)
    found = evaluate(Told(answers), dataset)
    images = dataset.split("holdout")
    counts = rng.multinomial(len(images), np.ones(len(images)) / len(images))
    rows = np.repeat(np.arange(len(images)), counts)

    resampled = found.scores(counts)

    expected = reference(dataset, [images[n] for n in rows], [answers[n] for n in rows])
    # Equal scores of different frames may stand in another order among repeated frames.
    assert (resampled.ap, resampled.ap50) == pytest.approx(expected, abs=5e-3)
    assert resampled.ap != found.ap


def test_the_truth_itself_scores_one_and_nothing_scores_zero(dataset):
    images = dataset.split("holdout")
    truth = [answer([(o.box, 0.9, o.class_id) for o in image.objects]) for image in images]

    assert evaluate(Told(truth), dataset).ap == pytest.approx(1)
    assert evaluate(Told([Detections.empty() for _ in images]), dataset).ap == 0


def test_a_class_without_objects_is_unknown_and_said_never_zero(dataset):
    images = tuple(
        AnnotatedImage(**{**vars(i), "objects": tuple(o for o in i.objects if o.class_id == 0)})
        for i in dataset.split("holdout")
    )
    discs = Dataset(dataset.path, dataset.labels, images)
    truth = [answer([(o.box, 0.9, o.class_id) for o in i.objects]) for i in images]

    found = evaluate(Told(truth), discs)

    assert found.overall.class_ap == {"disc": pytest.approx(1), "square": None}
    assert found.ap == pytest.approx(1)
    assert found.notes == ("class square has no object in holdout, so its quality is unknown",)


def test_a_part_without_any_object_has_no_ap(dataset):
    empty = tuple(
        AnnotatedImage(**{**vars(i), "objects": ()}) for i in dataset.split("holdout")[:2]
    )
    found = evaluate(
        Told([answer([((1, 1, 9, 9), 0.5, 0)])] * 2), Dataset(dataset.path, dataset.labels, empty)
    )

    assert found.ap is None
    assert found.ap50 is None


def test_classes_meet_by_name_not_by_number(dataset):
    turned = LabelMap(("square", "other", "disc"))
    truth = [
        answer([(o.box, 0.9, {0: 2, 1: 0}[o.class_id]) for o in image.objects])
        for image in dataset.split("holdout")
    ]

    assert evaluate(Told(truth, turned), dataset).ap == pytest.approx(1)


def test_a_class_that_the_detector_lacks_counts_as_missed(dataset):
    only = LabelMap(("disc",))
    truth = [
        answer([(o.box, 0.9, 0) for o in image.objects if o.class_id == 0])
        for image in dataset.split("holdout")
    ]

    assert evaluate(Told(truth, only), dataset).overall.class_ap == {
        "disc": pytest.approx(1),
        "square": 0,
    }


def test_masks_are_judged_by_their_pixels(dataset):
    """A mask of half a square fails where its box would pass."""
    images = tuple(
        AnnotatedImage(**{**vars(i), "objects": tuple(o for o in i.objects if o.class_id == 1)})
        for i in dataset.split("holdout")
    )
    squares = Dataset(dataset.path, dataset.labels, images)

    def answers(share):
        result = []
        for image in images:
            masks = []
            for o in image.objects:
                x1, y1, x2, y2 = (int(v) for v in o.box)
                bitmap = np.ones((y2 - y1, x2 - x1), np.bool_)
                bitmap[int(len(bitmap) * share) :] = False
                masks.append(Mask(bitmap, x1, y1))
            count = len(masks)
            result.append(
                Detections(
                    np.array([o.box for o in image.objects], np.float32).reshape(-1, 4),
                    np.full(count, 0.9, np.float32),
                    np.ones(count, np.int64),
                    masks=tuple(masks),
                )
            )
        return result

    assert evaluate(Told(answers(1.0)), squares, task="masks").ap > 0.95
    assert evaluate(Told(answers(0.4)), squares, task="masks").ap50 == 0
    assert evaluate(Told(answers(0.4)), squares, task="boxes").ap50 == pytest.approx(1)
    with pytest.raises(DatasetError, match="an object has no mask"):
        evaluate_predictions(
            answers(1.0), dataset, split="holdout", names=tuple(LABELS), task="masks"
        )
    with pytest.raises(ValueError, match="predicts no masks"):
        evaluate(Told(noisy_answers(squares, np.random.default_rng(0))), squares, task="masks")


def test_json_gives_an_equal_evaluation(dataset):
    found = evaluate(Told(noisy_answers(dataset, np.random.default_rng(2))), dataset)

    text = json.dumps(found.to_json())
    again = Evaluation.from_json(json.loads(text))

    assert again.overall == found.overall
    assert again.to_json() == found.to_json()
    assert json.loads(text)["ap"] == found.ap


def test_frames_go_in_batches_and_progress_is_told(dataset):
    detector = Told([Detections.empty() for _ in range(30)])
    told = []

    evaluate(detector, dataset, batch=8, report=told.append)

    assert detector.batches == [8, 8, 8, 6]
    assert [(p.done, p.total) for p in told] == [(8, 30), (16, 30), (24, 30), (30, 30)]
    assert told[-1].seconds_left == 0


def test_nothing_to_evaluate_on_is_an_error(dataset):
    with pytest.raises(DatasetError, match="split val: has no image"):
        evaluate(Told([]), dataset, split="val")


def test_answers_must_be_one_a_frame(dataset):
    with pytest.raises(ValueError, match="expected 30, one per frame, found 1"):
        evaluate_predictions([Detections.empty()], dataset, split="holdout", names=("disc",))
