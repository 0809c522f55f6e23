"""Where a dataset has no val part one is cut from train: always the same, and never a class."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.trainer.shapes import shapes_dataset
from trainer.calibration.score_map import maps_of
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.data.validation_part import with_validation_part
from trainer.detector import FitConfig
from trainer.runs.run import run_fit

THING = AnnotatedObject(0, (1.0, 1.0, 9.0, 9.0))
RARE = AnnotatedObject(1, (1.0, 1.0, 9.0, 9.0))


def dataset(count: int, **named: tuple[AnnotatedObject, ...]) -> Dataset:
    images = tuple(
        AnnotatedImage(f"f{n}", 16, 16, objects=named.get(f"f{n}", (THING,)), group=None)
        for n in range(count)
    )
    return Dataset(Path("nowhere"), LabelMap(("thing", "rare")), images, origin="known")


def names(found: Dataset, part: str) -> set[str]:
    return {image.file_name for image in found.split(part)}


def test_a_share_of_the_frames_becomes_val_and_nothing_is_lost():
    before = dataset(40)
    after = with_validation_part(before, 0.15)

    assert len(names(after, "val")) == 6
    assert names(after, "val") | names(after, "train") == names(before, "train")
    assert after.fingerprint == before.fingerprint


def test_more_labels_keep_most_of_the_frames_that_were_val():
    fewer, more = with_validation_part(dataset(40), 0.15), with_validation_part(dataset(60), 0.15)

    assert len(names(fewer, "val") & names(more, "val")) >= 3


def test_the_order_of_the_frames_is_no_matter():
    before = dataset(40)
    turned = replace(before, images=before.images[::-1])

    assert names(with_validation_part(before, 0.2), "val") == names(
        with_validation_part(turned, 0.2), "val"
    )


def test_a_rare_class_is_not_taken_out_of_what_is_learnt():
    for frame in range(30):
        found = with_validation_part(dataset(30, **{f"f{frame}": (THING, RARE)}), 0.2)

        assert any(o.class_id == 1 for i in found.split("train") for o in i.objects)


def test_a_group_stays_together():
    before = dataset(40)
    grouped = tuple(replace(i, group=f"g{n // 2}") for n, i in enumerate(before.images))
    found = with_validation_part(replace(before, images=grouped), 0.2)
    sides = {image.group: image.split for image in found.images}

    assert found.split("val")
    assert all(sides[image.group] == image.split for image in found.images)


def test_few_frames_a_val_part_of_ones_own_and_a_share_of_none_are_left_alone(tmp_path):
    own = dataset(40)
    own = replace(own, images=(replace(own.images[0], split="val"), *own.images[1:]))

    assert with_validation_part(dataset(8), 0.15).split("val") == ()
    assert names(with_validation_part(own, 0.15), "val") == {"f0"}
    assert with_validation_part(dataset(40), 0.0).split("val") == ()


def test_it_can_still_be_read(tmp_path):
    found = with_validation_part(shapes_dataset(tmp_path / "d", train=16, holdout=2), 0.2)

    assert found.read(found.split("val")[0]).ndim == 3


def test_a_fit_of_a_dataset_without_val_is_calibrated_all_the_same(tmp_path):
    data = shapes_dataset(tmp_path / "d", train=40, holdout=4)
    extra = {"steps": 80, "width": 16, "backbone": "none", "ema": 0.95}
    config = FitConfig(
        "centernet", batch_size=8, learning_rate=4e-3, image_size=(96, 128), extra=extra
    )
    notes = []

    def report(progress):
        notes.append(progress.note)

    done = run_fit(data.path, config, tmp_path / "run", report=report)
    bare = run_fit(data.path, replace(config, val_share=0.0), tmp_path / "bare", report=report)

    assert maps_of(done.bundle.card) is not None
    assert maps_of(bare.bundle.card) is None
    assert any("the val part has no frame" in note for note in notes)
    assert done.bundle.card.dataset == data.fingerprint
