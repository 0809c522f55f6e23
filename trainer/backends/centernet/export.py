"""Checkpoint → bundle: the network in ONNX for serving, its weights for the next fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trainer.backends.centernet.checkpoint import build, checkpoint_file, read_checkpoint
from trainer.backends.centernet.network import STRIDE, UNIT
from trainer.backends.learning.onnx_writing import write_onnx
from trainer.backends.learning.starting.weights import WEIGHTS
from trainer.bundles.bundle import Bundle, write_bundle

MODEL = "model.onnx"


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
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
    if meta.get("canvas"):
        reading["canvas"] = list(meta["canvas"])
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        outputs = ("heat", "sizes", "offsets", "embedding")
        write_onnx(
            network,
            (torch.zeros(2, 3, height, width),),
            model,
            inputs=("images",),
            outputs=outputs,
            free=dict.fromkeys(("images", *outputs), "batch"),
        )
        return write_bundle(
            destination,
            files={MODEL: model, WEIGHTS: checkpoint_file(checkpoint)},
            **{**known, **card, "extra": {**reading, **card.get("extra", {})}},
        )
