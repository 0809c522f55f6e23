"""Checkpoint → bundle: the network in ONNX for serving, its weights for the next fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainer.backends.extreme_points.checkpoint import read_checkpoint
from trainer.backends.extreme_points.networks.architecture import Network, build, channels_of
from trainer.backends.learning.onnx_writing import store_in_half, write_onnx
from trainer.backends.learning.starting.weights import WEIGHTS, save_weights
from trainer.bundles.bundle import Bundle, write_bundle

MODEL = "model.onnx"


class _ExportedInteractor(nn.Module):
    """The network with sigmoids on both outputs: mask and estimated IoU in 0..1."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        found = self.network(seen)
        return torch.sigmoid(found.logits[:, 0]), torch.sigmoid(found.quality)


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
    weights, meta = read_checkpoint(checkpoint)
    own = build(weights, meta)
    network = _ExportedInteractor(own).eval()
    height, width = meta["image_size"]
    # The path of the base on the training machine is private: keep its name only.
    base = Path(meta["settings"]["base"]).name if meta["settings"]["base"] else ""
    settings = {**meta["settings"], "base": base}
    blend = {"blend": meta["blend"]} if meta.get("blend") else {}
    known = {
        "name": "extreme_points",
        "engine": "extreme_points",
        "task": "interactor",
        "labels": meta["labels"],
        "input_size": (height, width),
        "dataset": meta["fingerprint"],
        "base": base,
        "settings": settings,
    }
    with tempfile.TemporaryDirectory() as folder:
        model, kept = Path(folder) / MODEL, Path(folder) / WEIGHTS
        write_onnx(
            network,
            (torch.zeros(1, channels_of(own), height, width),),
            model,
            inputs=["seen"],
            outputs=["mask", "quality"],
            free=dict.fromkeys(("seen", "mask", "quality"), "batch"),
        )
        store_in_half(model)
        # 16 bits are enough to start a fit from, and half the size.
        save_weights(kept, weights, {**meta, "settings": settings}, half=True)
        return write_bundle(
            destination,
            files={MODEL: model, WEIGHTS: kept},
            **{
                **known,
                **card,
                "extra": {"steps": meta["step"], **blend, **card.get("extra", {})},
            },
        )
