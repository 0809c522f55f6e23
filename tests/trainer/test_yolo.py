"""The yolo backend and engine against ultralytics' own answers, offline, on small networks."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.trainer.random_networks import ultralytics_network
from tests.trainer.shapes import shapes_dataset
from trainer.backends import backend
from trainer.backends.yolo.checkpoint import save_checkpoint
from trainer.backends.yolo.layout import write_layout
from trainer.bundles.bundle import Bundle, write_bundle
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import load_dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset
from trainer.detections import Detections
from trainer.detector import FitConfig, Progress
from trainer.engines import load
from trainer.engines.suppress import suppress
from trainer.errors import BundleError, ConfigError, DatasetError

LABELS = ("disc", "square", "none of both")
SIZE = (96, 128)
YOLO = backend("yolo")


def quiet(_step: Progress) -> None:
    return None


def images() -> list[np.ndarray]:
    """Coarse noise, of the network's aspect and of others."""
    rng = np.random.default_rng(5)
    shapes = ((11, 13), (7, 20), (15, 9))
    return [rng.integers(0, 256, (h, w, 3), np.uint8).repeat(9, 0).repeat(10, 1) for h, w in shapes]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Random networks by name and head, each made once."""

    @functools.cache
    def make(name: str, one_to_one: bool = False) -> tuple[Path, Bundle]:
        return export_random(tmp_path_factory.mktemp(name), name, one_to_one=one_to_one)

    return make


def export_random(folder: Path, name: str, *, one_to_one: bool) -> tuple[Path, Bundle]:
    """Save a random network as ultralytics does; return that file and our bundle of it."""
    task = "masks" if name.endswith("-seg") else "boxes"
    weights = folder / "weights.pt"
    model = ultralytics_network(name, LABELS, SIZE, one_to_one=one_to_one)
    said = "segment" if task == "masks" else "detect"
    torch.save({"model": model, "train_args": {"task": said}}, weights)
    meta = {
        "task": task,
        "image_size": SIZE,
        "epochs": 0,
        "notes": [],
        "settings": {"base": None},
        "fingerprint": "none",
    }
    save_checkpoint(folder / "checkpoint.pt", weights, meta)
    return weights, YOLO.export(folder / "checkpoint.pt", folder / "bundle", card={})


def assert_agrees(ours: Detections, theirs, shape: tuple[int, ...]) -> None:
    """Every object of theirs is ours too, to a tenth of a pixel and 0.001 of score.

    Those that lie in the padding alone have no area in the image; we leave them out.
    """
    boxes, scores = theirs.boxes.xyxy.numpy(), theirs.boxes.conf.numpy()
    classes = theirs.boxes.cls.numpy().astype(int)
    inside = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    missed = 0
    for n in inside:
        near = np.flatnonzero(
            (ours.class_ids == classes[n])
            & (np.abs(ours.boxes - boxes[n]).max(axis=1) < 0.1)
            & (np.abs(ours.scores - scores[n]) < 1e-3)
        )
        missed += not len(near)
        if not len(near) or theirs.masks is None:
            continue
        full = np.zeros(shape[:2], np.bool_)
        mask = ours.masks[near[0]]
        height, width = mask.bitmap.shape
        full[mask.top : mask.top + height, mask.left : mask.left + width] = mask.bitmap
        other = theirs.masks.data[n].numpy() > 0
        if other.sum() >= 30:
            assert (full & other).sum() / (full | other).sum() > 0.95

    assert len(inside) >= 30
    assert abs(len(ours) - len(inside)) <= 0.02 * len(inside)
    assert missed <= 0.02 * len(inside)


@pytest.mark.parametrize(
    ("name", "one_to_one"),
    [("yolo11n", False), ("yolov5n", False), ("yolo26n", True), ("yolo11n-seg", False)],
)
def test_the_engine_answers_as_ultralytics_does_on_the_same_weights(networks, name, one_to_one):
    """Before suppression: random scores tie, and then the last bit decides which box stays."""
    weights, bundle = networks(name, one_to_one)
    from ultralytics import YOLO as PEER

    detector = replace(load(bundle, threads=1), iou=1.0)
    answers = detector.detect(images(), min_score=0.05)
    peer = PEER(str(weights))
    for image, ours in zip(images(), answers, strict=True):
        theirs = peer.predict(
            image[..., ::-1].copy(),
            imgsz=list(SIZE),
            conf=0.05,
            iou=1.0,
            rect=False,
            retina_masks=True,
            verbose=False,
            nms=False if one_to_one else None,
        )[0]

        assert_agrees(ours, theirs, image.shape)
        assert ours.probabilities.shape == (len(ours), len(LABELS))
        assert np.allclose(
            ours.probabilities[np.arange(len(ours)), ours.class_ids], ours.scores, atol=1e-6
        )
        assert ours.embedding.shape == (256,)
        assert np.all(np.diff(ours.scores) <= 0)


def test_suppression_keeps_what_torchvisions_keeps():
    from torchvision.ops import batched_nms

    rng = np.random.default_rng(3)
    for count in (1, 40, 400):
        corner = rng.uniform(0, 60, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 60, (count, 2))]).astype(np.float32)
        scores = np.sort(rng.uniform(0, 1, count))[::-1].astype(np.float32)
        class_ids = rng.integers(0, 3, count)

        kept = batched_nms(
            torch.tensor(boxes), torch.tensor(scores.copy()), torch.tensor(class_ids), 0.5
        )
        assert suppress(boxes, class_ids, same=0.5).tolist() == kept.tolist()
        assert count == 1 or len(kept) < count


def test_one_image_answers_the_same_alone_and_in_a_batch(networks):
    _, bundle = networks("yolo11n", False)
    detector = load(bundle, threads=1)
    together = detector.detect(images(), min_score=0.3)
    alone = [detector.detect([image], min_score=0.3)[0] for image in images()]

    for a, b in zip(together, alone, strict=True):
        assert np.allclose(a.boxes, b.boxes, atol=0.01)
        assert np.allclose(a.scores, b.scores, atol=1e-5)
    assert len({a.embedding.tobytes() for a in together}) == 3
    assert detector.detect([], min_score=0.3) == []


def test_an_export_by_ultralytics_without_suppression_is_read_by_its_shape(networks, tmp_path):
    weights, _ = networks("yolo26n", True)
    from ultralytics import YOLO as PEER

    file = PEER(str(weights)).export(
        format="onnx", imgsz=list(SIZE), nms=False, simplify=False, verbose=False
    )
    bundle = write_bundle(
        tmp_path / "foreign",
        files={"model.onnx": Path(file)},
        name="foreign",
        engine="yolo",
        task="boxes",
        labels=LABELS,
        input_size=SIZE,
    )
    image = images()[0]
    ours = load(bundle).detect([image], min_score=0.05)[0]
    theirs = PEER(str(weights)).predict(
        image[..., ::-1].copy(), imgsz=list(SIZE), conf=0.05, rect=False, verbose=False, nms=False
    )[0]

    assert_agrees(ours, theirs, image.shape)
    assert ours.probabilities is None


def test_a_network_of_other_classes_than_the_card_says_is_refused(networks, tmp_path):
    _, bundle = networks("yolo11n", False)
    wrong = write_bundle(
        tmp_path / "wrong",
        files={"model.onnx": bundle.file("model.onnx")},
        name="wrong",
        engine="yolo",
        task="boxes",
        labels=("one", "two"),
        input_size=SIZE,
    )
    with pytest.raises(BundleError, match=r"for 2 classes, found \(1, 7, 252\)"):
        load(wrong)


def test_a_fit_stops_resumes_ends_and_is_a_base_for_other_labels(tmp_path):
    dataset = shapes_dataset(tmp_path / "data", train=8, holdout=2)
    before = {p: hashlib.sha256(p.read_bytes()).digest() for p in files_of(tmp_path / "data")}
    config = FitConfig("yolo", epochs=2, batch_size=4, image_size=(64, 64))
    run = tmp_path / "run"
    steps: list[Progress] = []

    def stop_at_once(step: Progress) -> None:
        steps.append(step)
        if step.stage == "fit":
            (run / "stop").touch()

    first = YOLO.fit(dataset, config, run_dir=run, report=stop_at_once)
    stopped = first.read_bytes()

    assert [s.done for s in steps if s.stage == "fit"] == [1]
    assert YOLO.export(first, tmp_path / "early", card={}).card.extra["epochs"] == 1

    (run / "stop").unlink()
    steps.clear()
    last = YOLO.fit(dataset, config, run_dir=run, report=steps.append)
    fits = [s for s in steps if s.stage == "fit"]

    assert [(s.done, s.total) for s in fits] == [(3, 4), (4, 4)]
    assert all(np.isfinite(s.figures["loss"]) and s.figures["lr"] > 0 for s in fits)
    assert last.read_bytes() != stopped

    steps.clear()
    YOLO.fit(dataset, config, run_dir=run, report=steps.append)

    assert [s for s in steps if s.stage == "fit"] == []
    assert before == {
        p: hashlib.sha256(p.read_bytes()).digest() for p in files_of(tmp_path / "data")
    }

    bundle = YOLO.export(last, tmp_path / "bundle", card={"name": "shapes"})

    assert (bundle.card.name, bundle.card.input_size) == ("shapes", (64, 64))
    assert (bundle.card.dataset, bundle.card.licence) == (dataset.fingerprint, "AGPL-3.0")

    other = shapes_dataset(
        tmp_path / "other", train=6, holdout=0, labels=LabelMap(("square", "star"))
    )
    tuned = YOLO.fit(
        other,
        FitConfig("yolo", epochs=1, batch_size=6, image_size=(64, 64), base=bundle.path),
        run_dir=tmp_path / "tuned",
        report=quiet,
    )
    notes = YOLO.export(tuned, tmp_path / "next", card={}).card.extra["notes"]

    assert notes == [
        "class star: new, initialised at random",
        "class disc: in the base, not among the labels",
    ]
    with pytest.raises(ConfigError, match="are for boxes, this fit is for masks"):
        YOLO.fit(
            dataset,
            FitConfig("yolo", image_size=(64, 64), base=bundle.path, extra={"task": "masks"}),
            run_dir=tmp_path / "wrong",
            report=quiet,
        )


def test_no_network_no_folder_of_the_user_is_touched(tmp_path):
    """A whole fit in a process of its own, whose home gets caches of other libraries alone."""
    import subprocess
    import sys

    shapes_dataset(tmp_path / "data", train=4, holdout=2)
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise SystemExit('somebody asked the network: %r' % (a,))\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
        "from trainer.cli.app import main\n"
        "main()\n"
    )
    options = ["--json", "--backend", "yolo", "--epochs", "1", "--batch-size", "4"]
    options += ["--image-size", "64x64"]
    paths = ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "run")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "OMP_NUM_THREADS": "1",
    }
    answer = subprocess.run(
        [sys.executable, "-c", code, "fit", *options, *paths],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr[-2000:]
    assert '"event": "done"' in answer.stdout.splitlines()[-1]
    strangers = ("ltralytics", "icrosoft", "mlflow")
    assert [p for p in home.rglob("*") if any(s in p.name for s in strangers)] == []
    assert sorted(p.name for p in home.iterdir() if not p.name.startswith(".")) == []


def test_masks_become_outlines_that_fill_the_same_pixels(tmp_path):
    """Also a mask of two parts, which YOLO's one outline a row cannot say directly."""
    from pycocotools import mask as coco

    mask = np.zeros((60, 80), np.uint8, order="F")
    mask[5:20, 5:25] = 1
    mask[30:55, 40:70] = 1
    run_length = coco.encode(mask)
    run_length["counts"] = run_length["counts"].decode()
    item = AnnotatedObject(0, (5, 5, 70, 55), dict(run_length))
    source = tmp_path / "a.png"
    cv2.imwrite(str(source), np.zeros((60, 80, 3), np.uint8))
    dataset = write_dataset(
        tmp_path / "data",
        labels=LabelMap(("part",)),
        images=[AnnotatedImage("a.png", 80, 60, "train", None, (item,))],
        sources={"a.png": source},
    )
    write_layout(dataset, tmp_path / "layout", masks=True, on_done=lambda _done, _total: None)
    row = (tmp_path / "layout/labels/train/000000.txt").read_text().split()
    points = np.array(row[1:], np.float64).reshape(-1, 2) * [80, 60] - 0.5
    filled = cv2.fillPoly(np.zeros((60, 80), np.uint8), [np.round(points).astype(np.int32)], 1)

    assert row[0] == "0"
    assert (filled & mask).sum() / (filled | mask).sum() > 0.97


def test_a_cut_off_jpeg_is_read_by_us_and_never_mended_in_place(tmp_path):
    """ultralytics would write such a file anew, through the link, over the original."""
    dataset = shapes_dataset(tmp_path / "data", train=3, holdout=0)
    folder, _ = write_layout(dataset, tmp_path / "layout", masks=False, on_done=lambda _d, _t: None)
    links = sorted((folder.parent / "images/train").iterdir())

    assert [p.is_symlink() for p in links] == [True, True, True]

    image = dataset.images[0]
    pixels = dataset.read(image)
    jpeg = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes() + b"trailing bytes"
    original = dataset.file(image)
    original.write_bytes(jpeg)
    write_layout(
        load_dataset(dataset.path), tmp_path / "again", masks=False, on_done=lambda _d, _t: None
    )
    placed = sorted((tmp_path / "again/images/train").iterdir())

    assert [p.is_symlink() for p in placed] == [False, True, True]
    assert original.read_bytes() == jpeg

    original.write_bytes(b"no image at all")
    with pytest.raises(DatasetError, match=image.file_name):
        write_layout(dataset, tmp_path / "third", masks=False, on_done=lambda _d, _t: None)


def test_every_fault_of_the_settings_is_told_at_once(tmp_path):
    dataset = shapes_dataset(tmp_path / "data", train=2, holdout=0)
    config = FitConfig(
        "yolo",
        epochs=0,
        image_size=(16, 64),
        extra={"model": "resnet", "mosaic": 2, "patience": 1.5, "amp": 1, "nonsense": 1},
    )
    with pytest.raises(ConfigError) as caught:
        YOLO.fit(dataset, config, run_dir=tmp_path / "run", report=quiet)

    told = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 7
    for word in ("nonsense", "model", "mosaic", "patience", "amp", "epochs", "image_size"):
        assert word in told


def test_nothing_to_learn_from_is_an_error_before_learning(tmp_path):
    empty = shapes_dataset(tmp_path / "data", train=0, holdout=2)
    with pytest.raises(DatasetError, match="no image to train on"):
        YOLO.fit(empty, FitConfig("yolo"), run_dir=tmp_path / "run", report=quiet)


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())
