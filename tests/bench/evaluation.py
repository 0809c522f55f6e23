"""Time to count average precision: ours against pycocotools' COCOeval, on the same answers."""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from tests.bench.figures import Figure, write
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.snapshot_forms import write_coco_form
from trainer.detections import Detections
from trainer.evaluation.compare import SIZES
from trainer.evaluation.evaluate import evaluate_predictions

SHARED = Path(__file__).parents[3] / "shared" / "data" / "bccd_det"


def main(arguments: Sequence[str] | None = None) -> None:
    """Count both ways, in turns, and compare the medians."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.evaluation", description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="a folder in COCO form")
    parser.add_argument("--split", default="train")
    given = parser.parse_args(arguments)
    dataset = load_dataset(given.data)
    answers = noisy(dataset, given.split)
    with tempfile.TemporaryDirectory() as folder:
        path = write_coco_form(dataset, Path(folder) / "coco") / f"instances_{given.split}.json"
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(path))
    ours, theirs, found, expected = [], [], None, 0.0
    for _ in range(5):
        began = time.perf_counter()
        names = tuple(dataset.labels)
        found = evaluate_predictions(answers, dataset, split=given.split, names=names).ap
        for area in SIZES.values():  # COCOeval counts the three sizes too
            _ = evaluate_predictions(answers, dataset, split=given.split, names=names, area=area).ap
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        expected = reference(truth, dataset, given.split, answers)
        theirs.append(time.perf_counter() - began)
    if found is None or abs(found - expected) > 1e-9:
        raise AssertionError(f"the two disagree: {found} and {expected}")
    mine, peer = float(np.median(ours)), float(np.median(theirs))
    note = (
        f"{len(answers)} frames, {sum(map(len, answers))} answers, all and three sizes; "
        f"ours {mine:.3f} s, median of 5; AP equal to 1e-9"
    )
    row = ("evaluation_speedup", peer / mine, "times", "pycocotools COCOeval (seconds)")
    write("training", [Figure(*row, peer, peer / mine, note)])


def noisy(dataset: Dataset, split: str) -> list[Detections]:
    """Answer near the truth, with as many false answers as true ones."""
    rng = np.random.default_rng(0)
    answers = []
    for image in dataset.split(split):
        boxes = np.array([o.box for o in image.objects], np.float64).reshape(-1, 4)
        kinds = np.array([o.class_id for o in image.objects], np.int64)
        twice = np.concatenate([boxes + rng.normal(0, 4, boxes.shape)] * 2)
        twice[len(boxes) :] += rng.normal(0, 30, boxes.shape)
        twice[:, 2:] = np.maximum(twice[:, 2:], twice[:, :2] + 2)
        scores = rng.random(len(twice))
        order = np.argsort(-scores, kind="stable")
        answers.append(
            Detections(
                twice[order].astype(np.float32),
                scores[order].astype(np.float32),
                np.concatenate([kinds, kinds])[order],
            )
        )
    return answers


def reference(truth: COCO, dataset: Dataset, split: str, answers: Sequence[Detections]) -> float:
    """Return AP by COCOeval, from the answers to the summary."""
    ids = {row["file_name"]: key for key, row in truth.imgs.items()}
    kinds = sorted(truth.cats)
    rows = []
    for image, answer in zip(dataset.split(split), answers, strict=True):
        sizes = np.concatenate([answer.boxes[:, :2], answer.boxes[:, 2:] - answer.boxes[:, :2]], 1)
        for box, score, kind in zip(
            sizes.astype(np.float64).tolist(), answer.scores, answer.class_ids, strict=True
        ):
            row = {"image_id": ids[image.file_name], "category_id": kinds[int(kind)]}
            rows.append({**row, "bbox": box, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(truth, truth.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return float(judge.stats[0])


if __name__ == "__main__":
    main()
