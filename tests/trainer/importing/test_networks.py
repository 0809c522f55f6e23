"""ultralytics' families, each as its own .pt and as its own .onnx: read and answering alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trainer.backends.yolo.importing import convert
from trainer.backends.yolo.offline import isolate
from trainer.bundles.bundle import Bundle
from trainer.detections import Detections
from trainer.engines import load
from trainer.importing import ImportRequest, import_model

SIDE = 96
NAMES = {0: "cat", 1: "dog", 2: "owl"}
FAMILIES = [
    ("yolov5nu", "boxes"),
    ("yolov8n-seg", "masks"),
    ("yolo26n-seg", "masks"),
]


def files(folder: Path, family: str, task: str) -> tuple[Path, Path]:
    """Return a .pt and an .onnx of one network with chance weights, written by ultralytics."""
    isolate()
    from ultralytics import YOLO
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import yaml_model_load

    torch.manual_seed(5)
    made = YOLO(f"{family}.yaml")
    plain = {**yaml_model_load(f"{family}.yaml"), "nc": len(NAMES)}
    kind = type(made.model)
    made.model = kind(plain, verbose=False)
    made.model.names = NAMES
    made.model.args = get_cfg()
    made.model.train()
    with torch.no_grad():
        for _ in range(20):  # or nothing of an image would reach the head
            made.model(torch.rand(2, 3, SIDE, SIDE))
    for head in (made.model.model[-1].cv3, getattr(made.model.model[-1], "one2one_cv3", None)):
        for branch in head or ():
            torch.nn.init.normal_(branch[-1].weight, std=1.0)
            torch.nn.init.constant_(branch[-1].bias, -2.0)  # or it would be sure of nothing
    path = folder / "best.pt"
    torch.save({"model": made.model.half(), "train_args": {"imgsz": SIDE, "task": task}}, path)
    exported = YOLO(path).export(format="onnx", imgsz=SIDE, verbose=False)
    return path, Path(exported)


def answer(bundle: Bundle, image: np.ndarray) -> Detections:
    (found,) = load(bundle, threads=1).detect([image], min_score=0.05)
    return found


@pytest.mark.parametrize(("family", "task"), FAMILIES)
def test_both_files_of_a_network_answer_alike(family: str, task: str, tmp_path: Path) -> None:
    pt, onnx = files(tmp_path, family, "segment" if task == "masks" else "detect")
    image = np.random.default_rng(2).integers(0, 255, (70, 90, 3), np.uint8)

    first = convert(pt, tmp_path / "pt", name="first", labels=None)
    second = import_model(ImportRequest(onnx, "second"), tmp_path / "onnx")

    for bundle in (first, second):
        assert (bundle.card.engine, bundle.card.task) == ("yolo", task)
        assert bundle.card.labels.names == tuple(NAMES.values())
        assert bundle.card.input_size == (SIDE, SIDE)
    ours, theirs = answer(first, image), answer(second, image)
    count = min(len(ours), len(theirs), 5)
    assert count >= 3
    assert np.abs(ours.scores[:count] - theirs.scores[:count]).max() < 5e-3
    assert np.abs(ours.boxes[:count] - theirs.boxes[:count]).max() < 0.5
    assert (ours.masks is not None) == (theirs.masks is not None) == (task == "masks")
