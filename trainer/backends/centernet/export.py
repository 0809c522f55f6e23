"""Checkpoint → bundle: the network in ONNX for serving, its weights for the next fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.backends.centernet.checkpoint import build, checkpoint_file, read_checkpoint
from trainer.backends.centernet.network import STRIDE, UNIT
from trainer.backends.learning.weights import WEIGHTS
from trainer.bundle import Bundle, write_bundle

MODEL = "model.onnx"


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that the caller knows better."""
    weights, meta = read_checkpoint(checkpoint)
    network = build(weights, meta)
    height, width = meta["image_size"]
    settings = meta["settings"]
    known = {
        "name": "centernet",
        "engine": "centernet",
        "task": "boxes",
        "labels": meta["labels"],
        "input_size": (height, width),
        "dataset": meta["fingerprint"],
        "base": Path(settings["base"]).name if settings["base"] else "",
        "settings": settings,
    }
    reading = {"stride": STRIDE, "unit": UNIT, "notes": meta["notes"], "steps": meta["step"]}
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        torch.onnx.export(
            network,
            (torch.zeros(2, 3, height, width),),
            str(model),
            input_names=["images"],
            output_names=["heat", "sizes", "offsets", "embedding"],
            dynamic_axes={
                n: {0: "batch"} for n in ("images", "heat", "sizes", "offsets", "embedding")
            },
            dynamo=False,
        )
        return write_bundle(
            destination,
            files={MODEL: model, WEIGHTS: checkpoint_file(checkpoint)},
            **{**known, **card, "extra": {**reading, **card.get("extra", {})}},
        )
