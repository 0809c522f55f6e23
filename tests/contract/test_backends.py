"""The laws of a backend, over every entry of the table, on a dataset of a few pictures."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from tests.trainer.shapes import LABELS, picture, shapes_dataset
from trainer import engines
from trainer.backends import BACKENDS, backend
from trainer.bundles.bundle import read_bundle
from trainer.data.dataset import Dataset
from trainer.detector import FitConfig
from trainer.errors import BundleError, ConfigError, DatasetError

# The least that each backend does in a few seconds; a backend without a line here fails.
TINY = {
    "centernet": FitConfig(
        "centernet", batch_size=4, image_size=(64, 96), extra={"steps": 6, "width": 8}
    ),
    "extreme_points": FitConfig(
        "extreme_points",
        batch_size=4,
        image_size=(64, 64),
        extra={"steps": 6, "width": 4, "first_size": 32},
    ),
    "libreyolo": FitConfig(
        "libreyolo",
        batch_size=2,
        image_size=(64, 96),
        extra={"steps": 4, "ema": 0.5, "architecture": "yolox_n"},
    ),
    "semantic": FitConfig(
        "semantic",
        batch_size=2,
        image_size=(64, 96),
        learning_rate=1e-2,
        extra={"steps": 30, "ema": 0.5, "architecture": "lraspp_mobilenet_v3_small"},
    ),
    "torchvision_detection": FitConfig(
        "torchvision_detection",
        batch_size=2,
        image_size=(64, 96),
        regions_per_image=16,
        extra={"steps": 4, "ema": 0.5, "architecture": "fasterrcnn_mobilenet_v3_small_fpn"},
    ),
    "yolo": FitConfig("yolo", epochs=1, batch_size=6, image_size=(64, 64)),
}

INTERACTORS = ("extreme_points",)
DETECTORS = tuple(sorted(set(BACKENDS) - set(INTERACTORS)))

detectors_only = pytest.mark.parametrize("name", DETECTORS, indirect=True)
interactors_only = pytest.mark.parametrize("name", INTERACTORS, indirect=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes") / "d"
    return shapes_dataset(folder, train=6, holdout=3, masks=True)


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def config(name):
    assert name in TINY, f"give the contract a small config for backend {name}"
    return TINY[name]


@pytest.fixture(scope="module")
def fitted(name, config, dataset, tmp_path_factory):
    """Give the checkpoint, its run folder and all that was told."""
    run_dir, told = tmp_path_factory.mktemp("run"), []
    path = backend(name).fit(dataset, config, run_dir=run_dir, report=told.append)
    return path, run_dir, told


@pytest.fixture(scope="module")
def bundle(name, fitted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "b"
    return backend(name).export(fitted[0], folder, card={"name": "tiny", "licence": "MIT"})


@pytest.fixture(scope="module")
def detector(bundle):
    return engines.load(bundle, threads=1)


def test_the_table_is_not_empty():
    assert BACKENDS


def test_its_name_is_its_key_and_its_tasks_are_known(name):
    assert backend(name).name == name
    assert backend(name).tasks
    assert backend(name).tasks <= {"boxes", "masks", "interactor"}
    assert ("interactor" in backend(name).tasks) == (name in INTERACTORS)


def test_checkpoint_lies_in_the_run_folder(fitted):
    path, run_dir, _ = fitted

    assert path.exists()
    assert run_dir in path.parents


def test_progress_rises_to_its_total(fitted):
    steps = [p for p in fitted[2] if p.stage == "fit"]

    assert steps
    assert [p.done for p in steps] == sorted(p.done for p in steps)
    assert steps[-1].done == steps[-1].total
    assert all(p.seconds_left is None or p.seconds_left >= 0 for p in steps)


def test_bundle_is_whole_and_carries_the_callers_words(bundle, name, dataset):
    assert read_bundle(bundle.path, version=bundle.version) == bundle
    assert bundle.card.labels == LABELS
    assert (bundle.card.name, bundle.card.licence) == ("tiny", "MIT")
    assert bundle.card.dataset == dataset.fingerprint
    assert bundle.card.engine in engines.ENGINES
    assert bundle.card.task in backend(name).tasks


def test_the_folder_of_a_bundle_is_exported_as_its_checkpoint_is(bundle, name, tmp_path):
    again = backend(name).export(bundle.path, tmp_path / "again", card={"name": "again"})

    assert (again.card.engine, again.card.labels) == (bundle.card.engine, bundle.card.labels)
    assert again.card.files.keys() == bundle.card.files.keys()
    (weights,) = (file for file in again.card.files if file.startswith("weights."))
    assert again.card.files[weights] == bundle.card.files[weights]


def test_a_bundle_of_another_engine_or_no_bundle_is_not_exported(bundle, name, tmp_path):
    other = next(other for other in sorted(BACKENDS) if other != name)
    with pytest.raises(BundleError, match="expected"):
        backend(other).export(bundle.path, tmp_path / "b", card={})
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="expected"):
        backend(name).export(tmp_path / "empty", tmp_path / "b", card={})
    assert not (tmp_path / "b").exists()


@detectors_only
def test_answers_keep_the_law_of_detect(detector):
    """In order, inside the image, best first, distinct sizes in one batch, all classes named."""
    rng = np.random.default_rng(2)
    images = [picture(rng, height=h, width=w)[0] for h, w in ((96, 128), (50, 200), (130, 90))]

    answers = detector.detect(images, min_score=0.0)

    assert len(answers) == 3
    assert detector.labels == LABELS
    for image, answer in zip(images, answers, strict=True):
        height, width = image.shape[:2]
        assert (answer.boxes >= 0).all()
        assert (answer.boxes <= [width, height, width, height]).all()
        assert (np.diff(answer.scores) <= 0).all()
        assert set(answer.class_ids.tolist()) <= set(range(len(LABELS)))
        assert answer.probabilities is not None
        assert answer.probabilities.shape == (len(answer), len(LABELS))
        rows = np.arange(len(answer))
        assert np.allclose(answer.probabilities[rows, answer.class_ids], answer.scores, atol=1e-5)


@detectors_only
def test_a_batch_answers_as_its_images_do_alone(detector):
    rng = np.random.default_rng(3)
    images = [picture(rng)[0] for _ in range(3)]

    together = detector.detect(images, min_score=0.01)
    alone = [detector.detect([image], min_score=0.01)[0] for image in images]

    for a, b in zip(together, alone, strict=True):
        assert np.allclose(a.boxes, b.boxes, atol=0.1)
        assert np.allclose(a.scores, b.scores, atol=1e-3)


@detectors_only
def test_min_score_takes_the_tail_and_nothing_else(detector):
    pictures = (picture(np.random.default_rng(seed), most=8)[0] for seed in range(4, 12))
    several = ((image, detector.detect([image], min_score=0.0)[0]) for image in pictures)
    image, every = next((image, every) for image, every in several if len(every) > 1)
    middle = float(np.median(every.scores))
    (some,) = detector.detect([image], min_score=middle)

    assert np.array_equal(some.scores, every.scores[every.scores >= middle][: len(some)])
    assert (some.scores >= middle).all()
    assert len(some) < len(every) or every.scores.min() == middle


@detectors_only
def test_no_image_no_answer(detector):
    assert detector.detect([], min_score=0.1) == []


@interactors_only
def test_an_interactor_keeps_the_law_of_segment(bundle):
    """The clicks hold on an image of any size, and the confidence is a share."""
    interactor = engines.load_interactor(bundle, threads=1)
    pixels = picture(np.random.default_rng(5), height=70, width=130)[0]
    data = cv2.imencode(".png", pixels)[1].tobytes()
    positive = np.array([[40.5, 30.5], [60.5, 10.5], [90.5, 40.5], [55.5, 60.5], [50.5, 40.5]])
    negative = np.array([[80.5, 20.5]])

    (found, *others), size = interactor.segment(
        data, positive=positive, negative=negative, box=None
    )

    frame = np.zeros(size, bool)
    height, width = found.mask.bitmap.shape
    frame[found.mask.top :, found.mask.left :][:height, :width] = found.mask.bitmap
    assert (size, others) == ((70, 130), [])
    assert all(frame[int(y), int(x)] for x, y in positive)
    assert not frame[20, 80]
    assert 0 <= found.confidence <= 1
    ys, xs = np.nonzero(frame)
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (40, 10, 90, 60)


def test_a_bundle_is_loaded_as_what_it_is_for(bundle, name):
    wrong = engines.load if name in INTERACTORS else engines.load_interactor

    with pytest.raises(BundleError, match="interactor"):
        wrong(bundle)


def test_a_finished_run_is_not_learnt_again(name, config, fitted, dataset):
    path, run_dir, _ = fitted
    told = []

    again = backend(name).fit(dataset, config, run_dir=run_dir, report=told.append)

    assert again == path
    assert not [p for p in told if p.stage == "fit"]


def test_a_foreign_extra_is_refused(name, config, dataset, tmp_path):
    odd = dataclasses.replace(config, extra={**config.extra, "colour_of_the_sky": 1})
    with pytest.raises(ConfigError, match="colour_of_the_sky"):
        backend(name).fit(dataset, odd, run_dir=tmp_path, report=lambda _: None)


def test_nothing_to_learn_from_is_refused(name, config, dataset, tmp_path):
    none = Dataset(dataset.path, dataset.labels, dataset.split("holdout"))
    with pytest.raises(DatasetError):
        backend(name).fit(none, config, run_dir=tmp_path, report=lambda _: None)


def test_unknown_backend_names_those_there_are():
    with pytest.raises(ConfigError, match="centernet"):
        backend("magic")
