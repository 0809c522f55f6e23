"""The semantic engine says what its network says, as one mask for each class and region."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

from tests.trainer.random_networks import segmenter
from tests.trainer.shapes import shapes_dataset
from trainer.backends import backend
from trainer.backends.semantic.export import export_network, logits_of
from trainer.cli.model_page import model_json, model_page
from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask
from trainer.detector import FitConfig
from trainer.engines import load
from trainer.engines.letterbox import inner_size, letterbox
from trainer.engines.semantic import best_classes, regions_of
from trainer.errors import ConfigError, DatasetError
from trainer.evaluation.compare import evaluate_model
from trainer.evaluation.evaluate import predict
from trainer.evaluation.mean_iou import mean_iou, predicted_map
from trainer.importing import ImportRequest, import_model
from trainer.runs.run import run_fit
from trainer.scores import Evaluation

CLASSES = ("cat", "dog", "cow")
SIZE = (64, 96)
TINY = FitConfig(
    "semantic",
    batch_size=2,
    image_size=SIZE,
    extra={"steps": 2, "ema": 0.5, "architecture": "lraspp_mobilenet_v3_small"},
)


def network(architecture: str) -> torch.nn.Module:
    """Random weights whose maps have a spread, so that every class wins somewhere."""
    torch.manual_seed(2)
    return segmenter(architecture, len(CLASSES), torch.rand(2, 3, *SIZE) * 255)


def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (3, 6, 8)).astype(np.float32)
    large = functional.interpolate(torch.from_numpy(coarse)[None], size, mode="bicubic")[0]
    return large.clamp(0, 255).byte().permute(1, 2, 0).numpy().copy()


@pytest.mark.parametrize(
    "architecture", ["lraspp_mobilenet_v3_small", "deeplabv3_mobilenet_v3_large"]
)
def test_the_bundle_says_what_the_network_says(architecture, tmp_path):
    """Of images of other sizes than the input: 99.5 % of the pixels that are not in specks."""
    made = network(architecture)
    card = {"name": "n", "labels": CLASSES}
    served = load(export_network(made, SIZE, tmp_path / "b", files={}, card=card), threads=1)
    images = [picture(1, (90, 110)), picture(2, (150, 100)), picture(3, (40, 60))]

    answers = served.detect(images, min_score=0.0)

    seen: set[int] = set()
    for image, answer in zip(images, answers, strict=True):
        size = image.shape[:2]
        pixels = torch.from_numpy(letterbox(image, SIZE)[0]).permute(2, 0, 1)[None].float()
        height, width = inner_size(size, SIZE)
        with torch.inference_mode():
            shares = torch.softmax(logits_of(made, pixels)[0], 1)[..., :height, :width]
            peer = functional.interpolate(shares, size, mode="bilinear")[0].argmax(0).numpy()
        ours = predicted_map(answer, size, range(len(CLASSES)))
        told = ours > 0
        assert (ours[told] == peer[told]).mean() > 0.995
        assert (told == (peer > 0)).mean() > 0.9
        seen |= set(answer.class_ids.tolist())
        assert (answer.probabilities.sum(axis=1) <= 1 + 1e-5).all()
    assert len(seen) >= 2


def test_a_region_is_what_hangs_together_and_its_score_the_mean():
    maps = np.zeros((3, 20, 30), np.float32)
    maps[1, 2:8, 2:10], maps[1, 12:18, 4:9] = 0.9, 0.6
    maps[2, 5:15, 15:29], maps[2, 0, 29] = 0.8, 0.9  # the last is a speck
    maps[0] = 1 - maps[1] - maps[2]

    classes = best_classes(maps, (20, 30))
    regions, rows = regions_of(classes, 16)

    assert rows.tolist() == [[1, 2, 2, 8, 6], [1, 4, 12, 5, 6], [2, 15, 5, 14, 10]]
    assert [(regions == n).sum() for n in (1, 2, 3)] == [48, 30, 140]
    assert regions[0, 29] == 0
    assert classes[0, 29] == 2


def test_of_many_classes_the_winner_is_the_largest_after_enlarging():
    maps = np.random.default_rng(0).dirichlet(np.ones(40), (7, 9)).transpose(2, 0, 1)
    maps = maps.astype(np.float32)
    large = functional.interpolate(torch.from_numpy(maps)[None], (61, 83), mode="bilinear")[0]

    assert (best_classes(maps, (61, 83)) == large.argmax(0).numpy()).mean() > 0.999


def test_pixels_of_a_class_count_over_all_frames_and_a_crowd_does_not(tmp_path):
    square = [[0.0, 0, 10, 0, 10, 10, 0, 10]]
    crowd = [[10.0, 0, 20, 0, 20, 10, 10, 10]]
    objects = (
        AnnotatedObject(0, (0, 0, 10, 10), square),
        AnnotatedObject(1, (10, 0, 20, 10), crowd, crowd=True),
    )
    image = AnnotatedImage("a.png", 30, 10, "val", None, objects)
    dataset = Dataset(tmp_path, LabelMap(("cat", "dog")), (image,))
    left = Mask(np.ones((10, 15), np.bool_), 0, 0)
    found = Detections(
        boxes=np.array([[0, 0, 15, 10]], np.float32),
        scores=np.ones(1, np.float32),
        class_ids=np.zeros(1, np.int64),
        masks=(left,),
    )

    assert mean_iou([found], dataset, "val", ("cat",)) == {"miou": 1.0}
    assert mean_iou([found], dataset, "val", ("dog",)) == {"miou": 0.0}


def test_a_fit_is_judged_by_mean_iou_too_and_its_card_says_so(tmp_path):
    data = shapes_dataset(tmp_path / "data", train=4, holdout=3, masks=True)

    outcome = run_fit(data.path, TINY, tmp_path / "run", report=lambda _: None)

    detector = load(outcome.bundle)
    answers = predict(detector, data, split="holdout")
    (miou,) = mean_iou(answers, data, "holdout", detector.labels.names).values()
    evaluation = outcome.evaluation
    assert evaluation is not None
    assert 0 <= miou <= 1
    assert evaluation.miou == pytest.approx(miou)
    assert outcome.bundle.card.metrics["miou"] == evaluation.miou
    assert Evaluation.from_json(evaluation.to_json()).miou == evaluation.miou
    assert f"  miou: {evaluation.miou}" in model_page(model_json(outcome.bundle))
    side = evaluate_model(outcome.bundle, data, split="holdout", task="masks")
    assert side.to_json()["miou"] == pytest.approx(miou)


def test_a_base_of_other_classes_gives_what_fits_and_says_what_does_not(tmp_path):
    data = shapes_dataset(tmp_path / "data", train=4, holdout=1, masks=True)
    base = backend("semantic").fit(data, TINY, run_dir=tmp_path / "base", report=lambda _: None)
    other = dataclasses.replace(data, labels=LabelMap(("square", "ring")))
    extra = {"steps": 1}  # the architecture is that of the base
    config = dataclasses.replace(TINY, base=base, learning_rate=1e-9, extra=extra)
    told = []

    path = backend("semantic").fit(other, config, run_dir=tmp_path / "next", report=told.append)

    notes = [step.note for step in told if step.note]
    assert notes == [
        "class ring: new, initialised at random",
        "class disc: in the base, not among the labels",
    ]
    with np.load(base) as old, np.load(path) as new:
        head = "classifier.high_classifier.weight"
        assert np.allclose(new[head][0], old[head][0], atol=1e-6)  # the background
        assert np.allclose(new[head][1], old[head][2], atol=1e-6)  # square
        assert not np.allclose(new[head][2], old[head][1], atol=1e-3)  # ring is not disc


def test_an_object_without_a_mask_is_named(tmp_path):
    data = shapes_dataset(tmp_path / "data", train=6, holdout=1)
    with pytest.raises(DatasetError, match=r"\.png: an object has no mask"):
        backend("semantic").fit(data, TINY, run_dir=tmp_path / "run", report=lambda _: None)


def test_one_image_at_a_time_is_enough_for_deeplab(tmp_path):
    data = shapes_dataset(tmp_path / "data", train=2, holdout=1, masks=True)
    extra = {"steps": 1, "architecture": "deeplabv3_mobilenet_v3_large"}
    config = dataclasses.replace(TINY, batch_size=1, image_size=(32, 32), extra=extra)
    assert backend("semantic").fit(data, config, run_dir=tmp_path / "r", report=lambda _: None)


def test_weights_whose_architecture_is_named_become_a_bundle(tmp_path):
    made = network("lraspp_mobilenet_v3_small")
    save_file(made.state_dict(), tmp_path / "ours.safetensors")
    request = ImportRequest(
        tmp_path / "ours.safetensors", "ours", CLASSES, architecture="lraspp_mobilenet_v3_small"
    )

    bundle = import_model(request, tmp_path / "bundle")

    assert (bundle.card.engine, bundle.card.task) == ("semantic", "masks")
    assert bundle.card.labels.names == CLASSES
    weights = bundle.file("weights.npz")
    again = backend("semantic").export(weights, tmp_path / "again", card={"name": "again"})
    assert again.card.files["model.onnx"] == bundle.card.files["model.onnx"]


def test_settings_that_contradict_each_other_are_told_together(tmp_path):
    wrong = dataclasses.replace(
        TINY,
        base=tmp_path,
        extra={
            "task": "boxes",
            "pretrained": True,
            "architecture": "lraspp_mobilenet_v3_small",
            "zoom": 0.5,
        },
    )
    with pytest.raises(ConfigError) as told:
        backend("semantic").check(wrong)
    for word in ("extra.task must be masks", "pretrained and base", "no weights of", "extra.zoom"):
        assert word in str(told.value), word
