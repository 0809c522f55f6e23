"""The centernet backend learns easy pictures, resumes alike, exports what it learnt."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from tests.trainer.shapes import LABELS, picture, shapes_dataset
from trainer import engines
from trainer.backends import backend
from trainer.backends.centernet.checkpoint import build, read_checkpoint
from trainer.backends.centernet.network import STRIDE, decode_boxes
from trainer.bundles.bundle import write_bundle
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.detector import FitConfig
from trainer.engines.letterbox import letterbox
from trainer.engines.suppress import suppress
from trainer.errors import BundleError, ConfigError, DatasetError, TrainingError
from trainer.evaluation.evaluate import evaluate

CONFIG = FitConfig(
    "centernet",
    batch_size=8,
    learning_rate=4e-3,
    image_size=(96, 128),
    extra={"steps": 80, "width": 16, "ema": 0.95},
)
SHORT = dataclasses.replace(CONFIG, batch_size=4, extra={**CONFIG.extra, "steps": 8})


def ignore(_):
    """Watch nothing."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return shapes_dataset(tmp_path_factory.mktemp("shapes") / "d")


@pytest.fixture(scope="module")
def checkpoint(dataset, tmp_path_factory):
    return backend("centernet").fit(
        dataset, CONFIG, run_dir=tmp_path_factory.mktemp("run"), report=ignore
    )


@pytest.fixture(scope="module")
def bundle(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "b"
    return backend("centernet").export(checkpoint, folder, card={"name": "shapes"})


@pytest.fixture(scope="module")
def detector(bundle):
    return engines.load(bundle, threads=1)


@pytest.fixture(scope="module")
def short(dataset, tmp_path_factory):
    """Give the folder of one short fit and its checkpoint."""
    run = tmp_path_factory.mktemp("short")
    return run, backend("centernet").fit(dataset, SHORT, run_dir=run, report=ignore)


def test_it_learns_shapes_from_24_frames(detector, dataset):
    """From scratch, on frames it has not seen."""
    found = evaluate(detector, dataset, split="holdout")

    assert found.ap50 > 0.8
    assert found.ap > 0.45


def test_the_bundle_answers_as_the_network(bundle, detector, checkpoint):
    pixels = np.stack([picture(np.random.default_rng(n))[0] for n in range(3)])
    network = build(*read_checkpoint(checkpoint))
    with torch.no_grad():
        expected = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())

    for count in (1, 3):  # the batch is free in size
        images = pixels[:count].transpose(0, 3, 1, 2).astype(np.float32)
        found = detector.session.run(None, {"images": images})
        for mine, theirs in zip(found, expected, strict=True):
            assert np.abs(mine - theirs[:count].numpy()).max() < 1e-3
    assert bundle.card.dataset
    assert bundle.card.labels == LABELS


def test_reading_the_maps_equals_torchs_own_decoding(detector, checkpoint):
    """Every box of the engine is the box that the network claims at that cell."""
    pixels = picture(np.random.default_rng(8), most=8)[0]
    network = build(*read_checkpoint(checkpoint))
    with torch.no_grad():
        out = network(torch.from_numpy(pixels)[None].permute(0, 3, 1, 2).float())
        boxes = decode_boxes(out.sizes, out.offsets)[0].flatten(1).T.numpy()
        probabilities = torch.sigmoid(out.heat)[0].flatten(1).T.numpy()
    boxes = np.clip(boxes, 0, [128, 96, 128, 96])

    (answer,) = detector.detect([pixels], min_score=0.3)

    assert len(answer) > 0
    for box, row in zip(answer.boxes, answer.probabilities, strict=True):
        cell = int(np.abs(boxes - box).sum(axis=1).argmin())
        assert np.allclose(boxes[cell], box, atol=1e-2)
        assert np.allclose(probabilities[cell], row, atol=1e-3)


def test_boxes_come_back_in_the_pixels_of_an_image_of_another_form(detector):
    """A picture set into a larger and wider canvas is found where it stands."""
    pixels, objects = picture(np.random.default_rng(11), most=4)
    assert objects
    canvas = np.full((96 * 2, 128 * 3, 3), 150, np.uint8)
    canvas[:, : 128 * 2] = pixels.repeat(2, axis=0).repeat(2, axis=1)

    (near,) = detector.detect([pixels], min_score=0.4)
    (far,) = detector.detect([canvas[:, : 128 * 2]], min_score=0.4)

    assert np.allclose(near.boxes * 2, far.boxes, atol=6)
    assert detector.detect([canvas], min_score=0.4)[0].boxes[:, 2].max() <= 128 * 3


def test_letterbox_keeps_the_aspect():
    image = np.zeros((50, 200, 3), np.uint8)

    fitted, scale = letterbox(image, (96, 128))

    assert fitted.shape == (96, 128, 3)
    assert scale == pytest.approx(0.64)
    assert (fitted[:32] == 0).all()
    assert (fitted[33:] == fitted[-1, -1]).all()


def test_suppression_by_class():
    boxes = np.array(
        [[0, 0, 10, 10], [1, 0, 11, 10], [0, 0, 10, 10.5], [20, 0, 30, 10]], np.float32
    )

    assert suppress(boxes, np.array([0, 0, 1, 0]), same=0.6).tolist() == [0, 2, 3]
    assert suppress(boxes, np.array([0, 0, 1, 0]), same=0.6, other=0.9).tolist() == [0, 3]
    assert suppress(boxes[:0], np.zeros(0, np.int64), same=0.6).tolist() == []


def test_same_seed_same_weights_other_seed_others(dataset, short, tmp_path):
    def learn(name, **change):
        config = dataclasses.replace(SHORT, **change)
        path = backend("centernet").fit(dataset, config, run_dir=tmp_path / name, report=ignore)
        return read_checkpoint(path)[0]["heat.weight"]

    first = read_checkpoint(short[1])[0]["heat.weight"]

    assert torch.equal(learn("b"), first)
    assert not torch.equal(learn("c", seed=8), first)


class Interrupted(Exception):  # noqa: N818 it stands for a kill
    """The process dies here."""


def test_an_interrupted_fit_goes_on_to_the_same_end(dataset, short, tmp_path):
    """Killed after a saved state, begun again in the same folder: the weights do not differ."""
    config = dataclasses.replace(SHORT, extra={**SHORT.extra, "save_every": 0})
    steps = []

    def kill(progress):
        if progress.stage == "fit" and progress.done == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        backend("centernet").fit(dataset, config, run_dir=tmp_path / "part", report=kill)
    again = backend("centernet").fit(
        dataset,
        config,
        run_dir=tmp_path / "part",
        report=lambda p: steps.append(p.done) if p.stage == "fit" else None,
    )

    assert steps == [5, 6, 7, 8]  # the fifth was taken, yet not saved
    for name, value in read_checkpoint(short[1])[0].items():
        assert torch.allclose(value.float(), read_checkpoint(again)[0][name].float(), atol=1e-6)


def test_a_stopped_fit_keeps_a_checkpoint_and_goes_on_when_asked(dataset, tmp_path):
    def stop(progress):
        if progress.stage == "fit" and progress.done == 3:
            (tmp_path / "stop").touch()

    path = backend("centernet").fit(dataset, SHORT, run_dir=tmp_path, report=stop)
    stopped = read_checkpoint(path)[1]["step"]
    (tmp_path / "stop").unlink()
    backend("centernet").fit(dataset, SHORT, run_dir=tmp_path, report=ignore)

    assert stopped == 3
    assert read_checkpoint(path)[1]["step"] == 8


def test_a_finished_fit_is_not_begun_anew(dataset, short):
    run, first = short
    told = []

    again = backend("centernet").fit(dataset, SHORT, run_dir=run, report=told.append)

    assert again == first
    assert told == []


def test_a_run_folder_of_another_fit_is_refused(dataset, tmp_path):
    backend("centernet").fit(dataset, SHORT, run_dir=tmp_path, report=ignore)
    with pytest.raises(TrainingError, match="another config"):
        backend("centernet").fit(
            dataset, dataclasses.replace(SHORT, seed=1), run_dir=tmp_path, report=ignore
        )


def test_the_time_limit_ends_a_fit_with_a_checkpoint(dataset, tmp_path):
    config = dataclasses.replace(SHORT, time_limit=1e-6)

    path = backend("centernet").fit(dataset, config, run_dir=tmp_path, report=ignore)

    assert read_checkpoint(path)[1]["step"] == 1


def test_fine_tuning_carries_classes_over_by_name(dataset, bundle, tmp_path):
    """Squares known, discs gone, stars new: what fits is kept, what does not is said."""
    labels = LabelMap(("star", "square"))
    images = tuple(
        AnnotatedImage(**{**vars(i), "objects": tuple(o for o in i.objects if o.class_id == 1)})
        for i in dataset.images
    )
    squares = Dataset(dataset.path, labels, images)
    config = dataclasses.replace(
        SHORT, base=bundle.path, learning_rate=1e-4, extra={**SHORT.extra, "ema": 0.5}
    )

    path = backend("centernet").fit(squares, config, run_dir=tmp_path / "run", report=ignore)
    tuned = backend("centernet").export(path, tmp_path / "b", card={"name": "squares"})

    assert tuned.card.extra["notes"] == [
        "class star: new, initialised at random",
        "class disc: in the base, not among the labels",
    ]
    assert tuned.card.base == bundle.path.name
    assert evaluate(engines.load(tuned), squares).overall.class_ap50["square"] > 0.7


def test_base_weights_of_another_kind_are_refused(dataset, tmp_path):
    weights = tmp_path / "w"
    weights.write_bytes(b"zip it is not")
    foreign = write_bundle(
        tmp_path / "f",
        files={"model.onnx": weights},
        name="x",
        engine="yolo",
        task="boxes",
        labels=["a"],
        input_size=(32, 32),
    )
    for base, error, text in (
        (foreign.path, BundleError, "bundle of centernet"),
        (weights, BundleError, "weights of centernet"),
        (tmp_path / "none", ConfigError, "no such file"),
    ):
        with pytest.raises(error, match=text):
            backend("centernet").fit(
                dataset,
                dataclasses.replace(SHORT, base=base),
                run_dir=tmp_path / "run",
                report=ignore,
            )


def test_a_network_of_another_width_is_no_base(dataset, bundle, tmp_path):
    other = {**SHORT.extra, "width": 8, "deep": 32}
    config = dataclasses.replace(SHORT, base=bundle.path, extra=other)
    with pytest.raises(ConfigError, match="have width 16"):
        backend("centernet").fit(dataset, config, run_dir=tmp_path, report=ignore)


def test_shallow_levels_shorten_the_embedding_and_serve(dataset, tmp_path):
    learner = backend("centernet")
    config = dataclasses.replace(
        SHORT, extra={**SHORT.extra, "steps": 2, "backbone": "none", "deep": 24}
    )
    checkpoint = learner.fit(dataset, config, run_dir=tmp_path / "run", report=ignore)
    served = engines.load(learner.export(checkpoint, tmp_path / "bundle", card={"name": "small"}))

    answer = served.detect([dataset.read(dataset.images[0])], min_score=0.0)[0]

    assert answer.embedding is not None
    assert answer.embedding.shape == (24,)


def test_every_fault_of_a_config_is_told_at_once(dataset, tmp_path):
    config = FitConfig(
        "centernet",
        batch_size=0,
        learning_rate=-1,
        image_size=(8, 200),
        extra={"steps": 0, "ema": 1.5},
    )
    with pytest.raises(ConfigError) as error:
        backend("centernet").fit(dataset, config, run_dir=tmp_path, report=ignore)
    assert len(error.value.faults) == 5

    with pytest.raises(ConfigError, match="(?s)extra.colour must be a number.*"):
        backend("centernet").fit(
            dataset,
            FitConfig("centernet", extra={"colour": "red"}),
            run_dir=tmp_path,
            report=ignore,
        )


def test_too_little_to_learn_from_is_said(dataset, tmp_path):
    none = Dataset(dataset.path, dataset.labels, dataset.split("holdout"))
    with pytest.raises(DatasetError, match="no image to train on"):
        backend("centernet").fit(none, SHORT, run_dir=tmp_path, report=ignore)
    empty = AnnotatedImage(**{**vars(dataset.split("train")[0]), "objects": ()})
    negatives = Dataset(dataset.path, dataset.labels, (empty,))
    with pytest.raises(DatasetError, match="no object to train on"):
        backend("centernet").fit(negatives, SHORT, run_dir=tmp_path, report=ignore)


def test_five_frames_with_negatives_can_be_learnt_from(dataset, tmp_path):
    """A first round may be as small as this: it fits, and answers are finite."""
    few = Dataset(dataset.path, dataset.labels, dataset.split("train")[:5])
    assert any(not i.objects for i in few.images) or len(few.images) == 5

    path = backend("centernet").fit(few, SHORT, run_dir=tmp_path / "run", report=ignore)
    tiny = backend("centernet").export(path, tmp_path / "b", card={})

    (answer,) = engines.load(tiny).detect([picture(np.random.default_rng(1))[0]], min_score=0)
    assert len(answer) > 0
    assert np.isfinite(answer.boxes).all()


def test_a_loss_that_is_not_finite_is_an_error_not_a_model(dataset, tmp_path):
    config = dataclasses.replace(SHORT, learning_rate=1e30)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        backend("centernet").fit(dataset, config, run_dir=tmp_path, report=ignore)


def test_checkpoint_holds_no_pickle(checkpoint):
    with np.load(checkpoint, allow_pickle=False) as file:
        assert json.loads(bytes(file["__meta__"]).decode())["labels"] == ["disc", "square"]
    assert STRIDE == 4
