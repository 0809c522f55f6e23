"""Checkpoint → bundle: the network up to boxes and probabilities; the engine selects."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.backends.learning.onnx_writing import write_onnx
from trainer.backends.learning.starting.weights import (
    WEIGHTS,
    known_fields,
    read_weights,
    weights_file,
)
from trainer.backends.libreyolo.families import family_of
from trainer.backends.libreyolo.networks import build
from trainer.backends.libreyolo.serving import ExportedLibreyolo
from trainer.bundles.bundle import Bundle, write_bundle

MODEL = "model.onnx"
ENGINES = ("libreyolo",)
_OUTPUTS = ("boxes", "probabilities", "embedding")


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
    weights, meta = read_weights(checkpoint, engines=ENGINES)
    architecture, classes = str(meta["architecture"]), len(meta["labels"])
    size = (int(meta["network_size"][0]), int(meta["network_size"][1]))
    network = build(architecture, classes, image_size=size, begun=bool(meta["begun"]))
    network.load_state_dict(weights)
    graph = ExportedLibreyolo(architecture.partition("_")[0], network, classes, size).eval()
    family = family_of(architecture)
    known = {
        "engine": "libreyolo",
        "task": "boxes",
        "input_size": size,
        "licence": family.licence,
        **known_fields(meta, {}),
    }
    if meta["published"]:
        known["base"] = meta["published"]
    reading = {"iou": family.iou, "every_class": family.every_class}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        given = torch.zeros(2, 3, *size)
        with torch.no_grad():
            graph(given)  # positions are computed at first use
            write_onnx(
                graph,
                (given,),
                model,
                inputs=["images"],
                outputs=_OUTPUTS,
                free=dict.fromkeys(("images", *_OUTPUTS), "batch"),
            )
        extra = {**reading, **known["extra"], **card.get("extra", {})}
        return write_bundle(
            destination,
            files={MODEL: model, WEIGHTS: weights_file(checkpoint, engines=ENGINES)},
            **{**known, **card, "extra": extra},
        )
