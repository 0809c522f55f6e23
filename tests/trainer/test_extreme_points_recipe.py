"""The recipe of the weights that ship: what it may learn from."""

import json

from trainer.backends.extreme_points.recipe import COCO_LICENCES, SOURCES, STAGES, gather
from trainer.dataset import load_dataset


def write_sets(folder):
    """Write the three sets, one image for each part and licence."""
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

    dataset = load_dataset(gather(tmp_path / "sets", tmp_path / "out"))

    kept = {image.file_name for image in dataset.images}
    assert {n for n in kept if n.startswith("coco")} == {
        f"coco_seg200-{licence}.png" for licence in COCO_LICENCES
    }
    others = {f"{source}-{n}.png" for source in SOURCES[1:] for n in range(9)}
    assert kept == others | {f"coco_seg200-{licence}.png" for licence in COCO_LICENCES}
    assert {image.split for image in dataset.images} == {"train"}
    assert all(len(image.objects) == 1 for image in dataset.images)


def test_each_stage_begins_with_what_the_one_before_gave(tmp_path):
    first = STAGES[0].config(1.0, None)
    later = STAGES[1].config(0.5, tmp_path)

    assert first.base is None
    assert later.base == tmp_path
    assert later.extra["steps"] == round(STAGES[1].steps / 2)
    assert STAGES[0].size < STAGES[-1].size == 128  # small crops first, the size that serves last
