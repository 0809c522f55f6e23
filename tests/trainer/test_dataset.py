"""A dataset in COCO form is read whole or refused with file, row and reason."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.trainer.shapes import LABELS, shapes_dataset
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import load_dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset, write_snapshot
from trainer.errors import DatasetError

IMAGE = {"id": 5, "file_name": "a.png", "width": 40, "height": 30}
BOX = {"id": 1, "image_id": 5, "category_id": 9, "bbox": [10, 5, 20, 10]}


@pytest.fixture
def folder(tmp_path):
    """Give a function that writes a COCO file of one image, with changes."""

    def write(**change):
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.full((30, 40, 3), 70, np.uint8)).save(tmp_path / "images" / "a.png")
        values = {
            "categories": [{"id": 9, "name": "cat"}, {"id": 2, "name": "dog"}],
            "images": [IMAGE],
            "annotations": [BOX],
        }
        (tmp_path / "annotations.json").write_text(json.dumps(values | change))
        return tmp_path

    return write


def test_rows_become_values_and_labels_follow_category_ids(folder):
    dataset = load_dataset(
        folder(images=[{**IMAGE, "split": "holdout", "group": "video 1", "source_frame": 12}])
    )

    assert dataset.labels == LabelMap(("dog", "cat"))
    assert dataset.images == (
        AnnotatedImage(
            "a.png",
            40,
            30,
            "holdout",
            "video 1",
            (AnnotatedObject(1, (10.0, 5.0, 30.0, 15.0), extra={"id": 1}),),
            {"source_frame": 12},
        ),
    )
    assert dataset.split("holdout") == dataset.images
    assert dataset.split("train") == ()
    assert dataset.read(dataset.images[0]).tolist() == np.full((30, 40, 3), 70).tolist()


def test_no_split_is_train_and_no_object_is_a_negative(folder):
    dataset = load_dataset(folder(annotations=[]))

    assert [i.file_name for i in dataset.split("train")] == ["a.png"]
    assert dataset.images[0].objects == ()


def test_unknown_split_name_is_refused(folder):
    with pytest.raises(DatasetError, match="no split 'dev'"):
        load_dataset(folder()).split("dev")


SQUARE = np.zeros((30, 40), np.uint8)
SQUARE[5:15, 10:30] = 1


def run_length(*, text: bool):
    if text:
        found = coco_mask.encode(np.asfortranarray(SQUARE))
        return {"size": [30, 40], "counts": found["counts"].decode()}
    flat = SQUARE.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return {"size": [30, 40], "counts": [int(n) for n in counts]}


@pytest.mark.parametrize(
    "segmentation",
    [
        [[10, 5, 30, 5, 30, 15, 10, 15]],
        [[10, 5, 20, 5, 20, 15, 10, 15], [20, 5, 30, 5, 30, 15, 20, 15]],
        run_length(text=True),
        run_length(text=False),
    ],
)
def test_every_form_of_mask_is_the_same_bitmap_and_gives_the_box(folder, segmentation):
    row = {"id": 1, "image_id": 5, "category_id": 9, "segmentation": segmentation}

    (item,) = load_dataset(folder(annotations=[row])).images[0].objects

    assert np.array_equal(item.bitmap(30, 40), SQUARE.astype(bool))
    assert item.box == (10, 5, 30, 15)


def test_box_without_mask_is_its_own_bitmap(folder):
    (item,) = load_dataset(folder()).images[0].objects

    assert np.array_equal(item.bitmap(30, 40), SQUARE.astype(bool))


def test_box_that_reaches_out_is_clipped_and_said(folder):
    dataset = load_dataset(folder(annotations=[{**BOX, "bbox": [-5, 20, 30, 30]}]))

    assert dataset.images[0].objects[0].box == (0, 20, 25, 30)
    assert "clipped" in dataset.warnings[0]
    assert "a.png" in dataset.warnings[0]


@pytest.mark.parametrize("box", [[50, 5, 4, 4], [3, 3, 0, 9], [-9, -9, 5, 5]])
def test_box_of_no_area_is_left_out_and_said(folder, box):
    dataset = load_dataset(folder(annotations=[{**BOX, "bbox": box}, BOX]))

    assert [o.box for o in dataset.images[0].objects] == [(10, 5, 30, 15)]
    assert "no area" in dataset.warnings[0]


@pytest.mark.parametrize(
    ("change", "row", "reason"),
    [
        ({"images": [{**IMAGE, "width": "40"}]}, r"images\[0\]", "width must be an integer"),
        ({"images": [IMAGE, IMAGE]}, r"images\[1\]", "occurs twice"),
        ({"images": [{**IMAGE, "split": "dev"}]}, r"images\[0\]", "split must be one of"),
        ({"images": [{**IMAGE, "file_name": "../a.png"}]}, r"images\[0\]", "points outside"),
        ({"images": [{**IMAGE, "file_name": "b.png"}]}, "image b.png", "no such file"),
        ({"images": {}}, "images", "must be a list"),
        ({"categories": [{"id": 9, "name": ""}]}, r"categories\[0\]", "name must be a text"),
        (
            {"categories": [{"id": 9, "name": "a"}, {"id": 8, "name": "a"}]},
            "categories",
            "is already label",
        ),
        ({"annotations": [{**BOX, "image_id": 6}]}, r"annotations\[0\]", "matches no image"),
        ({"annotations": [{**BOX, "category_id": 1}]}, r"annotations\[0\]", "matches no category"),
        ({"annotations": [{**BOX, "bbox": [1, 2, 3]}]}, r"annotations\[0\]", "four finite"),
        ({"annotations": [{**BOX, "bbox": [1, 2, float("nan"), 1]}]}, r"\[0\]", "four finite"),
        ({"annotations": [{**BOX, "bbox": [1, 2, -3, 1]}]}, r"\[0\]", "negative size"),
        ({"annotations": [{**BOX, "segmentation": [[1, 2, 3, 4]]}]}, r"\[0\]", "polygons"),
        (
            {"annotations": [{**BOX, "segmentation": {"size": [40, 30], "counts": "x"}}]},
            r"\[0\]",
            "height, width",
        ),
        (
            {"annotations": [{**BOX, "segmentation": {"size": [30, 40], "counts": [5, 5]}}]},
            r"\[0\]",
            "add up to 10",
        ),
        ({"annotations": ["x"]}, r"annotations\[0\]", "must be an object"),
    ],
)
def test_fault_is_told_by_file_row_and_reason(folder, change, row, reason):
    with pytest.raises(DatasetError, match=f"(?s)annotations.json: .*{row}.*{reason}"):
        load_dataset(folder(**change))


def test_all_faults_are_told_together(folder):
    bad = [{**BOX, "image_id": 6}, {**BOX, "bbox": None}, {**BOX, "category_id": "x"}]

    with pytest.raises(DatasetError) as error:
        load_dataset(folder(annotations=bad))

    assert all(f"annotations[{n}]" in str(error.value) for n in range(3))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_file_that_is_no_coco(tmp_path, text):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DatasetError, match="JSON"):
        load_dataset(tmp_path)


def test_no_file_at_all(tmp_path):
    with pytest.raises(DatasetError, match="no such file"):
        load_dataset(tmp_path)


def test_broken_pixels_and_other_sizes_are_told_when_read(folder):
    dataset = load_dataset(folder())
    path = dataset.file(dataset.images[0])
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DatasetError, match=r"a\.png.*damaged"):
        dataset.read(dataset.images[0])
    Image.fromarray(np.zeros((31, 40, 3), np.uint8)).save(path)
    with pytest.raises(DatasetError, match=r"a\.png.*40 x 31 pixels, annotated as 40 x 30"):
        dataset.read(dataset.images[0])


def test_annotations_made_without_regard_to_exif_fit_the_stored_pixels(folder):
    dataset = load_dataset(folder())
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(
        dataset.file(dataset.images[0]), exif=exif
    )

    assert dataset.read(dataset.images[0]).shape == (30, 40, 3)


def reordered(source, destination):
    """Write the same dataset with rows in another order, other ids and other file names."""
    values = json.loads((source.path / "annotations.json").read_text())
    (destination / "images").mkdir(parents=True)
    for image in values["images"]:
        old = source.path / "images" / image["file_name"]
        image["file_name"] = "z" + image["file_name"]
        (destination / "images" / image["file_name"]).write_bytes(old.read_bytes())
        image["id"] += 1000
    for row in values["annotations"]:
        row["image_id"] += 1000
        row["id"] = 9999 - row["id"]
    values["images"].reverse()
    values["annotations"].reverse()
    (destination / "annotations.json").write_text(json.dumps(values))
    return load_dataset(destination)


def test_fingerprint_is_of_the_content_alone(tmp_path):
    dataset = shapes_dataset(tmp_path / "a", train=4, holdout=2)

    assert reordered(dataset, tmp_path / "b").fingerprint == dataset.fingerprint


@pytest.mark.parametrize("what", ["box", "split", "group", "pixel", "label", "class"])
def test_fingerprint_sees_every_change(tmp_path, what):
    dataset = shapes_dataset(tmp_path / "a", train=4, holdout=2)
    path = dataset.path / "annotations.json"
    values = json.loads(path.read_text())
    before = dataset.fingerprint
    if what == "box":
        values["annotations"][0]["bbox"][2] += 1
    elif what == "class":
        values["annotations"][0]["category_id"] ^= 3
    elif what == "split":
        values["images"][0]["split"] = "holdout"
    elif what == "group":
        values["images"][0]["group"] = "g"
    elif what == "label":
        values["categories"][0]["name"] = "circle"
    else:
        file = dataset.file(dataset.images[0])
        pixels = cv2.imread(str(file))
        pixels[0, 0, 0] ^= 1
        file.unlink()
        cv2.imwrite(str(file), pixels)
    path.write_text(json.dumps(values))

    assert load_dataset(dataset.path).fingerprint != before


def test_snapshot_is_named_by_its_fingerprint_and_written_once(tmp_path):
    source = shapes_dataset(tmp_path / "source", train=3, holdout=2)
    sources = {i.file_name: source.file(i) for i in source.images}
    images = [
        AnnotatedImage(**{**vars(i), "extra": {"task": 7, "frame": n}, "group": "v"})
        for n, i in enumerate(source.images)
    ]

    made = write_snapshot(
        tmp_path / "snapshots",
        labels=LABELS,
        images=images,
        sources=sources,
        manifest={"project": 12},
    )
    again = write_snapshot(
        tmp_path / "snapshots", labels=LABELS, images=images[::-1], sources=sources
    )

    assert made.path == again.path == tmp_path / "snapshots" / made.fingerprint
    assert [p.name for p in (tmp_path / "snapshots").iterdir()] == [made.fingerprint]
    assert [i.extra for i in made.images] == [{"task": 7, "frame": n} for n in range(5)]
    assert [[o.box for o in i.objects] for i in made.images] == [
        [o.box for o in i.objects] for i in source.images
    ]
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert manifest["project"] == 12
    assert manifest["fingerprint"] == made.fingerprint
    assert manifest["images"][2]["extra"] == {"task": 7, "frame": 2}
    first = made.images[0]
    assert np.array_equal(made.read(first), source.read(source.images[0]))


def test_failed_snapshot_leaves_nothing(tmp_path):
    image = AnnotatedImage("a.png", 4, 4)
    with pytest.raises(DatasetError, match=r"a\.png"):
        write_snapshot(tmp_path / "s", labels=LABELS, images=[image], sources={})

    assert list((tmp_path / "s").iterdir()) == []


def test_dataset_is_not_written_over_another(tmp_path):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(DatasetError, match="not empty"):
        write_dataset(tmp_path, labels=LABELS, images=[], sources={})
