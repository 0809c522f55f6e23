"""Two models side by side: by size as COCO counts it, frame by frame, and as a picture."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.trainer.shapes import shapes_dataset
from trainer.bundles.bundle import Bundle, Card
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.errors import ComparisonError
from trainer.evaluation.compare import SIZES, ComparedModel, evaluate_model, frame_gaps, task_of
from trainer.evaluation.evaluate import evaluate_predictions
from trainer.evaluation.sheet import write_sheet


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Dataset:
    """Frames whose objects lie in all three of COCO's sizes."""
    found = shapes_dataset(tmp_path_factory.mktemp("sizes") / "d", train=1, holdout=20)
    rng = np.random.default_rng(4)
    images = []
    for image in found.images:
        objects = []
        for item in image.objects:
            x1, y1, x2, y2 = np.array(item.box) * 4 if rng.random() < 0.5 else item.box
            box = tuple(float(v) for v in (x1, y1, x2, y2))
            area = float((x2 - x1) * (y2 - y1))
            crowd = bool(rng.random() < 0.1)
            objects.append(replace(item, box=box, crowd=crowd, extra={"area": area}))
        images.append(
            replace(image, width=image.width * 4, height=image.height * 4, objects=tuple(objects))
        )
    return Dataset(found.path, found.labels, tuple(images))


def noisy(dataset: Dataset, seed: int) -> list[Detections]:
    """Answers near the truth: moved, doubled, mislabelled, missed, invented at every size."""
    rng = np.random.default_rng(seed)
    answers = []
    for image in dataset.split("holdout"):
        rows = [(o.box, o.class_id) for o in image.objects]
        rows += [((5, 5, 5 + s, 5 + s), 1) for s in (20, 60, 200)]
        kept = []
        for box, kind in rows:
            for _ in range(int(rng.integers(0, 3))):
                moved = np.clip(np.array(box) + rng.normal(0, 4, 4), 0, 380)
                moved[2:] = np.maximum(moved[2:], moved[:2] + 2)
                kept.append((moved, float(np.round(rng.random(), 3)), kind))
        kept.sort(key=lambda row: -row[1])
        answers.append(
            Detections(
                np.array([r[0] for r in kept], np.float32).reshape(-1, 4),
                np.array([r[1] for r in kept], np.float32),
                np.array([r[2] for r in kept], np.int64),
            )
        )
    return answers


def reference(dataset: Dataset, answers: list[Detections]) -> np.ndarray:
    """AP of small, medium and large objects by pycocotools."""
    truth, found = [], []
    for n, image in enumerate(dataset.split("holdout"), 1):
        for item in image.objects:
            x1, y1, x2, y2 = item.box
            truth.append(
                {
                    "id": len(truth) + 1,
                    "image_id": n,
                    "category_id": item.class_id + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": item.extra["area"],
                    "iscrowd": int(item.crowd),
                }
            )
        given = answers[n - 1]
        for box, score, kind in zip(given.boxes, given.scores, given.class_ids, strict=True):
            x1, y1, x2, y2 = (float(v) for v in box)
            row = {"image_id": n, "category_id": int(kind) + 1, "score": float(score)}
            found.append({**row, "bbox": [x1, y1, x2 - x1, y2 - y1]})
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = {
            "images": [{"id": n + 1} for n in range(len(answers))],
            "categories": [{"id": n + 1} for n in range(len(dataset.labels))],
            "annotations": truth,
        }
        coco.createIndex()
        judge = COCOeval(coco, coco.loadRes(found), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return np.asarray(judge.stats[3:6])


@pytest.mark.parametrize("seed", range(4))
def test_ap_by_size_is_that_of_pycocotools(dataset, seed):
    answers, names = noisy(dataset, seed), tuple(dataset.labels)
    found = [
        evaluate_predictions(answers, dataset, split="holdout", names=names, area=area).ap
        for area in SIZES.values()
    ]

    assert found == pytest.approx(reference(dataset, answers), abs=1e-12)
    assert len(set(found)) == 3


def side(dataset: Dataset, answers: list[Detections], shown: float = 0.3) -> ComparedModel:
    names = tuple(dataset.labels)
    return ComparedModel(
        path=Path("models/some"),
        version="1" * 16,
        predictions=tuple(answers),
        names=names,
        evaluation=evaluate_predictions(answers, dataset, split="holdout", names=names),
        sizes={},
        shown=np.full(len(names), shown),
        unknown=(),
    )


def perfect(dataset: Dataset, score: float = 0.9) -> list[Detections]:
    return [
        Detections(
            np.array([o.box for o in image.objects], np.float32).reshape(-1, 4),
            np.full(len(image.objects), score, np.float32),
            np.array([o.class_id for o in image.objects], np.int64),
        )
        for image in dataset.split("holdout")
    ]


def test_the_frame_where_one_model_is_blind_comes_first_and_hidden_answers_do_not_count(dataset):
    whole = Dataset(
        dataset.path,
        dataset.labels,
        tuple(
            replace(i, objects=tuple(replace(o, crowd=False) for o in i.objects))
            for i in dataset.images
        ),
    )
    frames = whole.split("holdout")
    blind = next(n for n, image in enumerate(frames) if image.objects)
    answers = perfect(whole)
    answers[blind] = Detections.empty()
    rows = frame_gaps(side(whole, perfect(whole)), side(whole, answers))
    hidden = frame_gaps(side(whole, perfect(whole)), side(whole, perfect(whole, score=0.2)))

    assert (rows[0].file_name, rows[0].first, rows[0].second) == (frames[blind].file_name, 1, 0)
    assert all(row.first == row.second == 1 for row in rows[1:])
    assert {row.second for row in hidden} == {0.0, 1.0}
    assert sum(row.second == 0 for row in hidden) == sum(bool(i.objects) for i in frames)


def test_the_sheet_shows_what_each_model_shows_people(tmp_path):
    data = shapes_dataset(tmp_path / "d", train=1, holdout=6, seed=2)
    rows = frame_gaps(side(data, perfect(data)), side(data, [Detections.empty()] * 6))[:2]
    marked, hidden = (
        np.asarray(
            Image.open(
                write_sheet(
                    tmp_path / f"{score}.png",
                    data,
                    "holdout",
                    side(data, perfect(data, score)),
                    side(data, [Detections.empty()] * 6),
                    rows,
                )
            )
        )
        for score in (0.9, 0.1)
    )
    truth, first, second = np.split(marked, 3, axis=1)

    assert marked.shape == (22 + 2 * (22 + 270), 3 * 360, 3)
    body = slice(44, 44 + 270)
    assert (truth[body] != second[body]).any()
    assert (first[body] != second[body]).any()
    np.testing.assert_array_equal(second[body], hidden[body, 360:720])


def bundle(task: str, labels: tuple[str, ...] = ("disc", "square")) -> Bundle:
    return Bundle(Path("m"), Card("m", "centernet", task, LabelMap(labels), (48, 64), {}), "0" * 16)


def test_only_detectors_can_be_compared_and_boxes_with_masks_by_their_boxes():
    assert task_of([bundle("masks"), bundle("masks")]) == "masks"
    assert task_of([bundle("boxes"), bundle("masks")]) == "boxes"
    with pytest.raises(ComparisonError, match="m has task 'interactor'"):
        task_of([bundle("boxes"), bundle("interactor")])


def test_a_model_of_other_classes_is_told_before_it_answers(dataset):
    with pytest.raises(ComparisonError, match=r"has cat.*disc, square: no common class"):
        evaluate_model(bundle("boxes", ("cat",)), dataset, split="holdout", task="boxes")
