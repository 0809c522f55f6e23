"""A snapshot comes back from its manifest, and other tools read what is exported."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from tests.trainer.shapes import shapes_dataset
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset, load_dataset
from trainer.data.snapshot import write_dataset
from trainer.data.snapshot_forms import export, rebuild
from trainer.errors import ConfigError, DatasetError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def snapshot(tmp_path) -> Dataset:
    return shapes_dataset(tmp_path / "data", train=6, holdout=4)


def scattered(snapshot: Dataset, folder: Path) -> Path:
    """The originals under names that say nothing; the snapshot keeps its papers alone."""
    folder.mkdir()
    for number, image in enumerate(snapshot.images):
        shutil.copyfile(snapshot.file(image), folder / f"original-{number * 7 % 11}.bin")
    shutil.rmtree(snapshot.path / "images")
    return folder


def test_a_snapshot_without_its_images_is_rebuilt_from_originals_of_any_name(snapshot, tmp_path):
    fingerprint = snapshot.fingerprint
    folder = scattered(snapshot, tmp_path / "elsewhere")
    made = rebuild(snapshot.path, [tmp_path / "data-originals", folder], tmp_path / "again")

    assert made.fingerprint == fingerprint
    assert load_dataset(tmp_path / "again").fingerprint == fingerprint


def test_images_that_are_gone_are_counted_and_the_first_is_named(snapshot, tmp_path):
    folder = scattered(snapshot, tmp_path / "elsewhere")
    for path in sorted(folder.iterdir())[:3]:
        path.unlink()
    with pytest.raises(DatasetError, match=r"no file of sha256 \w{64}.*2 more are missing"):
        rebuild(snapshot.path, [folder], tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_annotations_changed_since_are_not_passed_off_as_the_snapshot(snapshot, tmp_path):
    path = snapshot.path / "annotations.json"
    values = json.loads(path.read_text())
    values["annotations"].pop()
    path.write_text(json.dumps(values))
    with pytest.raises(DatasetError, match="the file has changed"):
        rebuild(snapshot.path, [snapshot.path / "images"], tmp_path / "again")

    manifest = snapshot.path / "manifest.json"
    stated = json.loads(manifest.read_text())
    del stated["annotations_sha256"]  # an older manifest: the fingerprint tells it
    manifest.write_text(json.dumps(stated))
    with pytest.raises(DatasetError, match="fingerprint: expected"):
        rebuild(snapshot.path, [snapshot.path / "images"], tmp_path / "again")
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "no such file"), ("{", "not readable"), ('{"images": [{}]}', "lacks fingerprint")],
)
def test_a_manifest_that_cannot_be_used_is_told(snapshot, tmp_path, content, told):
    path = snapshot.path / "manifest.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=told):
        rebuild(snapshot.path, [snapshot.path], tmp_path / "again")


def test_coco_form_is_read_by_pycocotools(snapshot, tmp_path, capsys):
    folder = export(snapshot.path, tmp_path / "coco", form="coco")
    for part in ("train", "holdout"):
        coco = COCO(str(folder / f"instances_{part}.json"))
        images = snapshot.split(part)
        assert {row["file_name"] for row in coco.imgs.values()} == {i.file_name for i in images}
        assert len(coco.anns) == sum(len(image.objects) for image in images)
        for row in coco.imgs.values():
            file = tmp_path / "coco" / "images" / part / row["file_name"]
            assert file.read_bytes() == (snapshot.path / "images" / row["file_name"]).read_bytes()


def test_yolo_form_says_the_same_boxes(snapshot, tmp_path):
    data = export(snapshot.path, tmp_path / "yolo", form="yolo")
    values = yaml.safe_load(data.read_text(encoding="utf-8"))

    assert values["names"] == {0: "disc", 1: "square"}
    assert values["train"] == "images/train"
    assert values["val"] == values["test"] == "images/holdout"
    for image in snapshot.images:
        path = data.parent / "labels" / image.split / f"{Path(image.file_name).stem}.txt"
        rows = np.array([line.split() for line in path.read_text().splitlines()], float)
        rows = rows.reshape(-1, 5)
        size = np.array([image.width, image.height] * 2)
        low, high = rows[:, 1:3] - rows[:, 3:] / 2, rows[:, 1:3] + rows[:, 3:] / 2
        boxes = np.concatenate([low, high], axis=1) * size
        np.testing.assert_allclose(boxes, [o.box for o in image.objects] or boxes, atol=1e-3)
        assert [int(r) for r in rows[:, 0]] == [o.class_id for o in image.objects]


def test_yolo_form_passes_ultralytics_own_checker(snapshot, tmp_path):
    """In a process of its own: ultralytics reads the files as its trainer would."""
    pytest.importorskip("torch")
    from trainer.backends.yolo.offline import isolate

    isolate()
    pytest.importorskip("ultralytics")
    data = export(snapshot.path, tmp_path / "yolo", form="yolo")
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    checked = check_det_dataset(str(data), autodownload=False)
    for part, frames in (("train", 6), ("val", 4)):
        read = YOLODataset(img_path=checked[part], data=checked, task="detect", augment=False)
        images = {i.file_name: i for i in snapshot.images}
        assert len(read.labels) == frames
        assert sum(len(row["cls"]) for row in read.labels) == sum(
            len(images[Path(row["im_file"]).name].objects) for row in read.labels
        )


def test_yolo_form_writes_outlines_where_all_have_masks(snapshot, tmp_path):
    squares = tuple(
        AnnotatedImage(**{**vars(i), "objects": tuple(o for o in i.objects if o.segmentation)})
        for i in snapshot.images
    )
    sources = {i.file_name: snapshot.file(i) for i in squares}
    made = write_dataset(
        tmp_path / "masks", labels=snapshot.labels, images=squares, sources=sources
    )
    data = export(made.path, tmp_path / "yolo", form="yolo")
    image = next(i for i in squares if i.objects)
    path = data.parent / "labels" / image.split / f"{Path(image.file_name).stem}.txt"
    row = np.array(path.read_text().splitlines()[0].split()[1:], float).reshape(-1, 2)
    x1, y1, x2, y2 = image.objects[0].box

    assert len(row) >= 4
    np.testing.assert_allclose(row.min(0) * (image.width, image.height), (x1, y1), atol=1.01)
    np.testing.assert_allclose(row.max(0) * (image.width, image.height), (x2, y2), atol=1.01)


def test_a_folder_in_use_and_a_form_that_is_not_there_are_refused(snapshot, tmp_path):
    with pytest.raises(DatasetError, match="not empty"):
        export(snapshot.path, snapshot.path, form="coco")
    with pytest.raises(ConfigError, match="form must be one of coco, yolo: 'voc'"):
        export(snapshot.path, tmp_path / "voc", form="voc")


def test_the_commands_do_it(snapshot, tmp_path):
    def trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trainer", "snapshot", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    shown = trainer("show", str(snapshot.path), "--json")
    made = trainer(
        "rebuild",
        str(snapshot.path),
        "--images",
        str(tmp_path / "data-originals"),
        "--out",
        str(tmp_path / "again"),
    )
    refused = trainer("export", str(tmp_path), "--out", str(tmp_path / "x"))

    assert json.loads(shown.stdout)["frames"] == {"train": 6, "holdout": 4}
    assert snapshot.fingerprint in made.stdout
    assert refused.returncode == 1
    assert "there is no such file" in " ".join(refused.stderr.split())
