"""The recipe of the weights that ship: what it may learn from."""

import json

import pytest

from trainer.backends.extreme_points import BACKEND
from trainer.backends.extreme_points.recipe import (
    CARD,
    COCO_LICENCES,
    SHARES,
    SOURCES,
    STAGES,
    card_of,
    gather,
)
from trainer.data.dataset import load_dataset


def write_sets(folder):
    """Write the sets, one image for each part and licence."""
    box = [[1.0, 1, 9, 1, 9, 9, 1, 9]]
    for source in SOURCES:
        (folder / source / "images").mkdir(parents=True)
        images = [
            {"id": n, "file_name": f"{n}.png", "width": 12, "height": 12, "split": part}
            | {"license": n % 9}
            for n, part in enumerate(["train"] * 9 + ["val"] * 9 + ["test"] * 9)
        ]
        for image in images:
            (folder / source / "images" / image["file_name"]).write_bytes(b"not looked at")
        annotations = [
            {"id": 1 + image["id"], "image_id": image["id"], "category_id": 1}
            | {"bbox": [1, 1, 8, 8], "segmentation": box}
            for image in images
        ]
        content = {"images": images, "annotations": annotations}
        content["categories"] = [{"id": 1, "name": "thing"}]
        (folder / source / "annotations.json").write_text(json.dumps(content))


def test_only_train_parts_are_learnt_from_and_only_photos_whose_licence_lets_weights_ship(tmp_path):
    write_sets(tmp_path / "sets")

    dataset = load_dataset(gather(tmp_path / "sets", tmp_path / "out", held=0))

    kept = {image.file_name for image in dataset.images}
    assert {n for n in kept if n.startswith("coco")} == {
        f"coco_seg200-{licence}.png" for licence in COCO_LICENCES
    }
    others = {f"{source}-{n}.png" for source in SOURCES[1:] for n in range(9)}
    assert kept == others | {f"coco_seg200-{licence}.png" for licence in COCO_LICENCES}
    assert {image.split for image in dataset.images} == {"train"}
    assert all(len(image.objects) == 1 for image in dataset.images)


def test_one_photo_in_so_many_is_learnt_from_by_nobody(tmp_path):
    """Told by its name, so that a later run holds back the same; the estimate is held to them."""
    write_sets(tmp_path / "sets")

    every = load_dataset(gather(tmp_path / "sets", tmp_path / "out", held=3))

    held = {image.file_name for image in every.split("val")}
    assert 0 < len(held) < len(every.images) / 2
    again = load_dataset(gather(tmp_path / "sets", tmp_path / "again", held=3))
    assert {image.file_name for image in again.split("val")} == held


def test_a_set_that_is_left_out_gives_nothing(tmp_path):
    write_sets(tmp_path / "sets")

    rest = load_dataset(gather(tmp_path / "sets", tmp_path / "out", ["ccp_seg", "coco_seg200"]))

    assert {str(image.extra["source"]) for image in rest.images} == {"ccp_seg", "coco_seg200"}


def test_the_fit_is_one_that_can_be_taken():
    for stage in STAGES:
        BACKEND.check(stage)

    assert set(SOURCES) == {name.split("/")[0] for name in SHARES}
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_the_card_names_only_the_sets_that_were_learnt_from():
    card = card_of(["coco_seg200", "open_seg"])

    assert [row["name"] for row in card["extra"]["data"]] == ["coco_seg200", "open_seg"]
    assert len(CARD["extra"]["data"]) == len(SOURCES)
