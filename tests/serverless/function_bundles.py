"""A small bundle for every function folder, of the labels that its function.yaml tells CVAT."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from tests.serverless.bright_spots import bright_spots
from tests.trainer.importing.exports import BOX, CENTRE, SCORE, SIDE, constant, rows, told, turned
from tests.trainer.random_networks import detector, segmenter
from trainer.backends.semantic.export import export_network as export_segmenter
from trainer.backends.torchvision_detection.export import export_network as export_detector
from trainer.bundles.bundle import Bundle, write_bundle
from trainer.importing import ImportRequest, import_model


def labels_of(function_yaml: Path) -> tuple[str, ...]:
    """Return the labels that CVAT is told."""
    content = yaml.safe_load(function_yaml.read_text(encoding="utf-8"))
    spec = content["metadata"]["annotations"]["spec"]
    return tuple(label["name"] for label in json.loads(spec or "[]"))


def bundle_for(function: Path, scratch: Path) -> Bundle:
    """Write a bundle that the folder of this function.yaml serves; the one that ships as it is."""
    engine = function.parent.name
    labels = labels_of(function)
    if engine == "centernet":
        return bright_spots(scratch / "bundle", labels=labels)
    if engine == "yolo":
        return _yolo(labels, scratch)
    if engine == "libreyolo":
        return _libreyolo(labels, scratch)
    return random_bundle(engine, scratch / "bundle", labels)


def random_bundle(engine: str, folder: Path, labels: tuple[str, ...] = ("cat", "dog")) -> Bundle:
    """Make a small bundle of torch's own networks: semantic, mask_rcnn, torchvision_detection."""
    card: dict[str, Any] = {"name": engine, "labels": labels}
    size = (64, 96)
    if engine == "semantic":
        noise = torch.rand(2, 3, *size) * 255
        segments = segmenter("lraspp_mobilenet_v3_small", len(labels), noise)
        return export_segmenter(segments, size, folder, files={}, card=card)
    family = "maskrcnn" if engine == "mask_rcnn" else "retinanet"
    noise = torch.rand(2, 3, *size)
    name = f"{family}_mobilenet_v3_small_fpn"
    network = detector(name, labels, size, brief=True, images=noise)
    return export_detector(network, size, folder, files={}, card=card)


def _yolo(labels: tuple[str, ...], scratch: Path) -> Bundle:
    scores = np.full(len(labels), 0.01)
    scores[1] = SCORE
    path = constant(
        scratch / "yolo.onnx",
        {"output0": turned(rows((*CENTRE, *scores)))},
        metadata=told(names=str(dict(enumerate(labels)))),
    )
    return import_model(ImportRequest(path, "yolo"), scratch / "bundle")


def _libreyolo(labels: tuple[str, ...], scratch: Path) -> Bundle:
    scores = np.zeros((1, 30, len(labels)), np.float32)
    scores[0, 0, 1] = SCORE
    embeddings = np.zeros((1, 8), np.float32)
    outputs = {"boxes": rows(BOX), "probabilities": scores, "embeddings": embeddings}
    return write_bundle(
        scratch / "bundle",
        files={"model.onnx": constant(scratch / "libreyolo.onnx", outputs)},
        name="libreyolo",
        engine="libreyolo",
        task="boxes",
        labels=labels,
        input_size=(SIDE, SIDE),
        extra={"iou": None, "every_class": True},
    )
