"""What a fit cannot use is refused by a clear word, or named and left out; never a traceback."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.trainer.shapes import LABELS, shapes_dataset
from trainer.backends import BACKENDS, backend
from trainer.backends.learning.memory import MemoryNeed
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import ANNOTATIONS, Dataset, load_dataset
from trainer.data.dataset_checks import dataset_notes
from trainer.data.snapshot import write_dataset
from trainer.detector import FitConfig
from trainer.errors import BundleError, ConfigError, DatasetError, TrainingError
from trainer.runs.run import run_fit
from trainer.runs.run_folder import read_request, reopen

ROOT = Path(__file__).parents[2]
TINY = FitConfig("centernet", batch_size=4, image_size=(48, 64), extra={"steps": 2, "width": 8})
YOLO = FitConfig("yolo", epochs=1, batch_size=4, image_size=(64, 64))


def silent(_step: object) -> None:
    return


@pytest.fixture
def data(tmp_path) -> Dataset:
    return shapes_dataset(tmp_path / "data", train=6, holdout=3)


def changed(dataset: Dataset, **parts: object) -> None:
    """Rewrite parts of a dataset's COCO file."""
    path = dataset.path / ANNOTATIONS
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **parts}))


def rows(dataset: Dataset, part: str) -> list[dict]:
    return json.loads((dataset.path / ANNOTATIONS).read_text())[part]


def test_base_weights_that_are_no_weights_are_named(data, tmp_path):
    text = tmp_path / "base.pt"
    text.write_text("hello\n")

    with pytest.raises(BundleError, match="expected weights that ultralytics can read") as caught:
        run_fit(data.path, dataclasses.replace(YOLO, base=text), tmp_path / "run", report=silent)

    assert caught.value.path == text


def test_an_empty_dataset_is_refused_and_recorded(data, tmp_path):
    changed(data, images=[], annotations=[])

    with pytest.raises(DatasetError, match="empty"):
        run_fit(data.path, TINY, tmp_path / "run", report=silent)

    recorded = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert recorded["kind"] == "DatasetError"


def test_one_image_is_learnt_from_with_a_warning(tmp_path):
    data = shapes_dataset(tmp_path / "data", train=1, holdout=1, seed=3)
    told = []

    outcome = run_fit(data.path, TINY, tmp_path / "run", report=told.append)

    notes = [step.note for step in told if step.note]
    assert outcome.bundle.path.exists()
    assert any("the train part has one image" in note for note in notes)
    assert any("the holdout part has one image" in note for note in notes)


def test_classes_without_examples_are_named_by_part(data):
    squares = [row for row in rows(data, "annotations") if row["category_id"] == 2]
    changed(data, annotations=squares)
    notes = dataset_notes(load_dataset(data.path), "auto")

    assert "class 'disc' has no example in train: it cannot be learned" in notes
    assert "class 'disc' has no example in holdout: it cannot be evaluated" in notes
    assert not any("'square'" in note for note in notes)


def test_boxes_outside_and_of_no_area_are_left_out_and_told(data, tmp_path):
    image = rows(data, "images")[0]["id"]
    odd = [
        {"id": 900, "image_id": image, "category_id": 1, "bbox": [500, 500, 10, 10]},
        {"id": 901, "image_id": image, "category_id": 1, "bbox": [5, 5, 0, 10]},
    ]
    changed(data, annotations=rows(data, "annotations") + odd)
    told = []

    run_fit(data.path, TINY, tmp_path / "run", report=told.append)

    notes = [step.note for step in told if step.note]
    assert sum("no area inside the image; skipped" in note for note in notes) == 2


@pytest.mark.parametrize("config", [TINY, YOLO], ids=lambda config: config.backend)
@pytest.mark.parametrize("how", ["cut off in its head", "no image"])
def test_a_corrupt_image_is_named(config, how, data, tmp_path):
    path = data.file(data.split("train")[2])
    content = path.read_bytes()
    path.unlink()  # it is a link to the original
    path.write_bytes(content[:20] if how == "cut off in its head" else b"not an image")

    with pytest.raises(DatasetError, match=path.name):
        run_fit(data.path, config, tmp_path / "run", report=silent)


def test_a_mask_task_without_masks_names_the_image(data, tmp_path):
    masks = dataclasses.replace(YOLO, extra={"task": "masks"})

    with pytest.raises(DatasetError, match=r"\.png: an object has no mask"):
        run_fit(data.path, masks, tmp_path / "run", report=silent)


@pytest.fixture(scope="module")
def centernet_bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    data = shapes_dataset(folder / "data", train=6, holdout=3)
    return run_fit(data.path, TINY, folder / "run", report=silent).bundle.path


@pytest.mark.parametrize("name", sorted(set(BACKENDS) - {"centernet"}))
def test_base_weights_of_another_family_are_refused(name, centernet_bundle, data, tmp_path):
    config = FitConfig(name, batch_size=4, image_size=(64, 64), base=centernet_bundle)

    with pytest.raises((BundleError, ConfigError), match=str(centernet_bundle)):
        backend(name).fit(polygons(data, tmp_path), config, run_dir=tmp_path, report=silent)


def polygons(data: Dataset, folder: Path) -> Dataset:
    """The same pictures, squares alone: they have masks."""
    images = [
        dataclasses.replace(image, objects=tuple(o for o in image.objects if o.segmentation))
        for image in data.images
    ]
    sources = {image.file_name: data.file(image) for image in images}
    return write_dataset(folder / "polygons", labels=LABELS, images=images, sources=sources)


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_all_contradictions_are_told_at_once_before_anything_is_read(name, tmp_path):
    wrong = FitConfig(
        name,
        epochs=0,
        schedule="constant",
        milestones=(5, 3),
        gamma=0,
        early_stopping=2,
        evaluation_period=0,
        precision="fp16",
        device="gpu",
        base=tmp_path / "nowhere",
        extra={"nonsense": 1},
    )

    with pytest.raises(ConfigError) as told:
        run_fit(tmp_path / "no dataset either", wrong, tmp_path / "run", report=silent)

    words = ("epochs", "only schedule=step", "must rise", "gamma", "early_stopping and evaluation")
    for word in (*words, "fp16", "'gpu'", "nowhere", "nonsense"):
        assert word in str(told.value), word
    assert not (tmp_path / "run").exists()


def test_a_run_folder_in_use_is_refused(data, tmp_path):
    refused = []

    def report(_step: object) -> None:
        if not refused:
            with pytest.raises(TrainingError, match="another process is training in") as told:
                run_fit(data.path, TINY, tmp_path / "run", report=silent)
            refused.append(told.value)

    run_fit(data.path, TINY, tmp_path / "run", report=report)

    assert refused


def limited(limit: str, size: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `trainer` with a limit of the system on it. size: an expression, `now` bytes are used."""
    script = (
        "import resource, signal, sys\n"
        "import trainer.backends.centernet.fit\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        f"resource.setrlimit(resource.{limit}, ({size}, {size}))\n"
        "from trainer.cli.app import main\n"
        "main()\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


def test_a_full_disk_is_told_and_what_was_saved_stays(data, tmp_path):
    """Files above 60 kB cannot be written: the first state of the network is larger."""
    asked = ["fit", "--data", str(data.path), "--out", str(tmp_path / "run"), "--mlflow", "none"]
    asked += ["--image-size", "48x64", "--batch-size", "4", "--set", "steps=2", "--set", "width=16"]
    answer = limited("RLIMIT_FSIZE", "60_000", *asked)
    assert answer.returncode == 1
    assert "the disk is full" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list((tmp_path / "run").rglob("*.part"))

    folder, config, name = read_request(tmp_path / "run")
    reopen(tmp_path / "run")
    assert run_fit(folder, config, tmp_path / "run", name=name, report=silent).bundle.path.exists()
    assert not (tmp_path / "run" / "failure.json").exists()


def test_images_that_no_memory_holds_are_refused_before_they_are_read(data, tmp_path):
    huge = dataclasses.replace(TINY, image_size=(600000, 600000), batch_size=1)

    with pytest.raises(TrainingError, match="smaller image_size"):
        run_fit(data.path, huge, tmp_path / "run", report=silent)

    recorded = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert recorded["kind"] == "TrainingError"


def test_running_out_of_memory_is_a_recorded_failure_with_advice(data, tmp_path):
    """A process that may take 500 MiB more learns from images that need some GiB."""
    asked = ["fit", "--data", str(data.path), "--out", str(tmp_path / "run"), "--mlflow", "none"]
    asked += ["--image-size", "1536x2048", "--batch-size", "4", "--set", "steps=2"]

    answer = limited("RLIMIT_AS", "now + (500 << 20)", *asked)

    assert answer.returncode == 1
    assert "out of memory" in answer.stderr
    assert "smaller" in answer.stderr
    recorded = json.loads((tmp_path / "run" / "failure.json").read_text())
    assert recorded["kind"] == "TrainingError"
    assert "out of memory" in recorded["message"]


def test_the_batch_is_fitted_to_the_memory():
    need = MemoryNeed(fixed=100 << 20, per_sample=50 << 20)

    assert need.most(1000 << 20) == (800 - 100) // 50
    assert need.most(120 << 20) == 0
    assert need.of(4) == 300 << 20


def test_a_deep_folder_of_images_is_read(tmp_path):
    """A file name with folders in it is one of the dataset, not outside of it."""
    pixels = np.full((40, 40, 3), 90, np.uint8)
    (tmp_path / "src").mkdir()
    cv2.imwrite(str(tmp_path / "src" / "a.png"), pixels)
    image = AnnotatedImage("deep/er/a.png", 40, 40, "train", None, ())
    data = write_dataset(
        tmp_path / "d",
        labels=LABELS,
        images=[image],
        sources={"deep/er/a.png": tmp_path / "src" / "a.png"},
    )

    with pytest.raises(DatasetError, match="no object to train on"):
        run_fit(data.path, TINY, tmp_path / "run", report=silent)
