"""Checkpoint → bundle: the network up to candidates in ONNX; the engine applies NMS in numpy.

The engine does what torchvision does after its heads, but keeps every class's probability of each
object. Masks have a graph of their own, since they are predicted for the selected boxes only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainer.backends.learning.onnx_writing import write_onnx
from trainer.backends.learning.starting.weights import (
    WEIGHTS,
    known_fields,
    read_weights,
    weights_file,
)
from trainer.backends.torchvision_detection.networks import build
from trainer.backends.torchvision_detection.serving import CandidateNetwork, MaskNetwork
from trainer.bundles.bundle import Bundle, write_bundle

MODEL, MASKS = "model.onnx", "masks.onnx"
ENGINES = ("torchvision_detection", "mask_rcnn")


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
    weights, meta = read_weights(checkpoint, engines=ENGINES)
    size = (int(meta["image_size"][0]), int(meta["image_size"][1]))
    network = build(meta["architecture"], meta["labels"], image_size=size)
    network.load_state_dict(weights)
    files = {WEIGHTS: weights_file(checkpoint, engines=ENGINES)}
    return export_network(network, size, destination, files=files, card=known_fields(meta, card))


def export_network(
    network: nn.Module,
    image_size: tuple[int, int],
    destination: Path,
    *,
    files: Mapping[str, Path],
    card: Mapping[str, Any],
) -> Bundle:
    """Write the bundle of a network made by build. card: `labels` and `name` at least.

    files: further files of the bundle, by name.
    """
    graph = CandidateNetwork(network.eval(), image_size).eval()
    height, width = image_size
    given = torch.zeros(1, 3, height, width), torch.tensor([float(height), float(width)])
    with torch.no_grad():
        answers = graph(*given)
    names = [
        "boxes",
        "probabilities",
        "embedding",
        *[f"feature{n}" for n in range(len(answers) - 3)],
    ]
    masked = graph.masked
    with tempfile.TemporaryDirectory() as folder:
        model, masks = Path(folder) / MODEL, Path(folder) / MASKS
        write_onnx(
            graph,
            given,
            model,
            inputs=["images", "limits"],
            outputs=names,
            free={"boxes": "candidates", "probabilities": "candidates"},
        )
        made = {MODEL: model}
        if masked:
            boxes = torch.tensor([[1.0, 2.0, 20.0, 30.0], [4.0, 4.0, 9.0, 25.0]])
            write_onnx(
                MaskNetwork(network, image_size).eval(),
                (boxes, *answers[3:]),
                masks,
                inputs=["boxes", *names[3:]],
                outputs=["masks"],
                free={"boxes": "objects", "masks": "objects"},
            )
            made[MASKS] = masks
        reading = graph.reading(answers[1].shape[0])
        known = {
            "engine": "mask_rcnn" if masked else "torchvision_detection",
            "task": "masks" if masked else "boxes",
            "input_size": image_size,
        }
        extra = {**reading, **card.get("extra", {})}
        return write_bundle(
            destination, files={**made, **files}, **{**known, **card, "extra": extra}
        )
