"""Modern detectors: what the exported one says is what libreyolo says, and what is loaded."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import trainer
from tests.trainer.agreement import Agreement, Seen, saw
from tests.trainer.random_networks import count, spread
from tests.trainer.shapes import LABELS, picture, shapes_dataset
from trainer.backends import backend
from trainer.backends.learning.starting.carry import HeadRows, carry_weights
from trainer.backends.learning.starting.weights import read_weights, save_weights
from trainer.backends.libreyolo.families import ARCHITECTURES, FAMILIES, family_of
from trainer.backends.libreyolo.initial_weights import published_base
from trainer.backends.libreyolo.networks import build, heads_of_names
from trainer.backends.libreyolo.published import PUBLISHED
from trainer.backends.libreyolo.serving import preprocess
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.detector import FitConfig
from trainer.engines import load
from trainer.errors import ConfigError, TrainingError
from trainer.evaluation.evaluate import evaluate

LIBREYOLO = backend("libreyolo")
# The smallest of each family, at a size that has places enough for all it looks for: of objects
# that are nearly the same, rounding decides which are told.
SMALLEST = {"yolox_n": 96, "yolo9_t": 96, "dfine_n": 256, "deim_n": 256, "rfdetr_n": 320}
SEEDS = (9, 10, 11)  # of the pictures that are shown
PEERS = {
    "yolox": "LibreYOLOX",
    "yolo9": "LibreYOLO9",
    "dfine": "LibreDFINE",
    "deim": "LibreDEIM",
    "rfdetr": "LibreRFDETR",
}


@pytest.fixture(scope="module")
def four(tmp_path_factory) -> Dataset:
    """Four frames to learn by heart."""
    return shapes_dataset(tmp_path_factory.mktemp("four") / "d", train=4, holdout=1, seed=1)


def config(architecture: str, side: int, **extra) -> FitConfig:
    values = {"architecture": architecture, "steps": 2, "ema": 0.5, **extra}
    return FitConfig("libreyolo", batch_size=2, image_size=(side, side), extra=values)


def louder(checkpoint: Path, to: Path) -> Path:
    """Write the checkpoint so that it tells places apart, and chance does not decide."""
    weights, meta = read_weights(checkpoint, engines=("libreyolo",))
    side, family = int(meta["network_size"][0]), meta["architecture"].partition("_")[0]
    network: Any = build(meta["architecture"], len(meta["labels"]), image_size=(side, side))
    network.load_state_dict(weights)
    shown = np.stack([drawn(seed, side) for seed in SEEDS])
    images = preprocess(family, torch.from_numpy(shown).permute(0, 3, 1, 2).float())
    count(network, images)
    if family in ("yolox", "yolo9"):
        head = network.head
        if family == "yolox":
            choosing = [*head.cls_preds, *head.obj_preds, *head.reg_preds]
        else:
            choosing = [tower[-1] for tower in (*head.cv2, *head.cv3)]
        for layer in choosing:
            spread([layer], lambda: network(images))
    else:
        noise = torch.Generator().manual_seed(5)
        for name in heads_of_names(weights):
            value = network.get_parameter(name).data
            if name.endswith("bias"):
                value.fill_(0.0)
            elif "denoising" not in name:
                value.copy_(torch.randn(value.shape, generator=noise) / value[0].numel() ** 0.5)
    save_weights(to, network.state_dict(), meta)
    return to


def drawn(seed: int, side: int) -> np.ndarray:
    """Return a picture of a network's own size."""
    return picture(np.random.default_rng(seed), height=side, width=side, most=9)[0]


def libreyolos_own(checkpoint: Path) -> Callable[[np.ndarray, float, float], Seen]:
    """Return what asks libreyolo itself, of an image, least score and IoU, on some weights."""
    weights, meta = read_weights(checkpoint, engines=("libreyolo",))
    side, names = int(meta["network_size"][0]), meta["labels"]
    family, _, size = meta["architecture"].partition("_")
    kind = getattr(import_module("libreyolo"), PEERS[family])
    if family == "rfdetr":  # without weights it would fetch some
        peer = kind({"model": weights}, size=size, nb_classes=len(names), device="cpu")
    else:
        network = build(meta["architecture"], len(names), image_size=(side, side))
        network.load_state_dict(weights)
        peer = kind(None, size=size, nb_classes=len(names), device="cpu")
        peer.model = network.eval()

    def saw_it(image: np.ndarray, score: float, iou: float) -> Seen:
        result = peer(Image.fromarray(image), conf=score, iou=iou, imgsz=side, max_det=300)
        boxes, found = result.boxes.xyxy.numpy(), result.boxes.cls.numpy().astype(int)
        known = found < len(names)  # RF-DETR has a row more than classes
        return Seen(
            boxes[known].astype(float),
            result.boxes.conf.numpy()[known].astype(float),
            [names[n] for n in found[known]],
        )

    return saw_it


@pytest.mark.parametrize("architecture", SMALLEST)
def test_the_bundle_says_what_libreyolo_says(architecture, four, tmp_path):
    """Learnt a little by its own loss. Scores within 1e-3, boxes within 0.1 of a pixel."""
    side, told = SMALLEST[architecture], []
    learnt = LIBREYOLO.fit(
        four, config(architecture, side), run_dir=tmp_path / "run", report=told.append
    )
    checkpoint = louder(learnt, tmp_path / "checkpoint.npz")
    bundle = LIBREYOLO.export(checkpoint, tmp_path / "b", card={})
    served, family = load(bundle, threads=1), family_of(architecture)

    agreed, ask = Agreement(), libreyolos_own(checkpoint)
    for seed in SEEDS:
        image = drawn(seed, side)
        scores = served.detect([image], min_score=0.0)[0].scores
        least = float(scores[:41][-2:].mean())  # so that the best forty or so are compared
        found = served.detect([image], min_score=least)[0]
        theirs = ask(image, least, family.iou or 1.0)
        agreed.add(saw(found, LABELS.names, image.shape[:2]), theirs, pixels=0.1, score=1e-3)
        assert found.embedding is not None
        assert np.linalg.norm(found.embedding) == pytest.approx(1, abs=1e-4)

    losses = [step.figures["loss"] for step in told if step.stage == "fit"]
    assert len(losses) == 2
    assert np.isfinite(losses).all()
    assert agreed.paired > 20, agreed
    assert agreed.share >= 0.98, agreed
    assert bundle.card.licence == family.licence


def test_four_frames_are_learnt_by_heart(four, tmp_path):
    told = []
    asked = dataclasses.replace(
        config("yolox_n", 96, steps=100, ema=0.9, flip_horizontal=False, colour=0.0),
        batch_size=4,
        learning_rate=2e-3,
        evaluation_period=0,
    )
    learnt = LIBREYOLO.fit(four, asked, run_dir=tmp_path / "run", report=told.append)
    bundle = LIBREYOLO.export(learnt, tmp_path / "b", card={})

    losses = [step.figures["loss"] for step in told if step.stage == "fit"]
    found = evaluate(load(bundle, threads=1), four, split="train")
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) / 2
    assert found.overall.ap50 > 0.7


def test_a_set_predictor_learns_too(four, tmp_path):
    told = []
    asked = dataclasses.replace(
        config("dfine_n", 96, steps=25, flip_horizontal=False, colour=0.0),
        batch_size=4,
        learning_rate=5e-4,
        evaluation_period=0,
    )
    LIBREYOLO.fit(four, asked, run_dir=tmp_path / "run", report=told.append)

    boxes = [step.figures["loss_bbox"] for step in told if step.stage == "fit"]
    assert np.mean(boxes[-5:]) < 0.8 * np.mean(boxes[:5])


def published(folder: Path, name: str, content: object) -> str:
    """Put a file where published weights are kept; return its sha256."""
    path = folder / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_fit_begins_with_published_weights_and_says_so(tmp_path, monkeypatch):
    """A class of COCO keeps what its row knew, wherever it stands; a new one begins anew."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    coco = build("yolox_n", 80, image_size=(64, 64)).state_dict()
    coco["head.cls_preds.0.bias"] = torch.arange(80.0)
    digits = published(tmp_path, "yolox_nano.pth", {"model": coco, "start_epoch": 300})
    names = LabelMap(("square", "dog"))  # COCO's 17th class, from 1
    data = shapes_dataset(tmp_path / "d", train=2, holdout=1, seed=1, labels=names)
    told = []

    asked = dataclasses.replace(
        config("yolox_n", 64, pretrained=True, weights_sha256=digits, steps=1, ema=0.0),
        learning_rate=1e-12,
    )
    learnt = LIBREYOLO.fit(data, asked, run_dir=tmp_path / "run", report=told.append)
    bundle = LIBREYOLO.export(learnt, tmp_path / "b", card={})

    weights, _ = read_weights(learnt, engines=("libreyolo",))
    assert weights["head.cls_preds.0.bias"][1] == pytest.approx(16, abs=1e-3)
    assert torch.allclose(
        weights["backbone.backbone.stem.conv.conv.weight"],
        coco["backbone.backbone.stem.conv.conv.weight"],
        atol=1e-6,
    )
    assert (bundle.card.base, bundle.card.licence) == ("yolox_nano.pth", "Apache-2.0")
    assert "class square: new, initialised at random" in [s.note for s in told if s.stage == "note"]


def test_a_wrong_file_under_a_published_name_is_refused(four, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    published(tmp_path, "yolox_nano.pth", {"model": {"x": torch.zeros(1)}})

    with pytest.raises(TrainingError, match="expected a sha256 that starts with cd28f55f"):
        LIBREYOLO.fit(
            four,
            config("yolox_n", 64, pretrained=True),
            run_dir=tmp_path / "run",
            report=lambda _: None,
        )


def test_cocos_own_ids_find_their_classes(tmp_path, monkeypatch):
    """RF-DETR's rows are COCO's ids, of which 0 is none; its file holds the settings of a fit."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    rows = torch.arange(91.0)
    content = {
        "model": {"class_embed.bias": rows, "backbone.x": rows},
        "args": argparse.Namespace(lr=1e-4),
    }
    digits = published(tmp_path, "rf-detr-nano.pth", content)

    base = published_base("rfdetr_n", digits, "fit")

    assert len(base.classes) == 90
    found = dict(zip(base.classes, base.weights["class_embed.bias"].tolist(), strict=False))
    assert (found["person"], found["toothbrush"], found["dog"]) == (1, 90, 18)
    assert torch.equal(base.weights["backbone.x"], rows)


def test_rows_behind_the_classes_stay_behind_them():
    made, notes = carry_weights(
        {"head": torch.zeros(4)},
        {"head": torch.tensor([1.0, 2.0, 9.0])},
        labels=LabelMap(("b", "c", "a")),
        known=LabelMap(("a", "b")),
        heads={"head": HeadRows(after=1)},
    )

    assert made["head"].tolist() == [2, 0, 1, 9]
    assert notes == ["class c: new, initialised at random"]


def test_weights_that_nobody_vouches_for_are_not_loaded():
    LIBREYOLO.check(config("dfine_s", 64, pretrained=True))
    LIBREYOLO.check(config("yolo9_t", 64, pretrained=True, weights_sha256="0" * 64))

    with pytest.raises(ConfigError, match=r"no sha256 of v9-t.pt is known.*extra.weights_sha256"):
        LIBREYOLO.check(config("yolo9_t", 64, pretrained=True))
    with pytest.raises(ConfigError, match="needs extra.pretrained=true"):
        LIBREYOLO.check(config("yolo9_t", 64, weights_sha256="0" * 64))
    with pytest.raises(ConfigError, match="64 lower-case hexadecimal digits"):
        LIBREYOLO.check(config("yolo9_t", 64, pretrained=True, weights_sha256="abc"))


def test_a_family_that_could_not_serve_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="cannot be exported to ONNX"):
        LIBREYOLO.check(config("domedetr_s", 64))


def test_every_network_has_its_published_weights_and_the_lock_file_holds_the_same():
    lock = Path(trainer.__file__).parents[1] / "deploy" / "weights.lock"
    rows = [line.split() for line in lock.read_text().splitlines() if line[:1] not in ("#", "")]
    held = {row[3]: (row[0], row[1], row[2], row[4]) for row in rows if row[3] in ARCHITECTURES}

    assert set(PUBLISHED) == set(ARCHITECTURES)
    assert held == {
        name: (file.name, file.sha256 or "unknown", family_of(name).licence, file.url)
        for name, file in PUBLISHED.items()
    }
    assert not any("GPL" in family.licence for family in FAMILIES.values())
