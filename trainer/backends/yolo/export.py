"""Checkpoint → bundle: the network in ONNX for serving, its weights for the next fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from trainer.backends.yolo.checkpoint import WEIGHTS, checkpoint_file, read_checkpoint
from trainer.bundles.bundle import Bundle, write_bundle

MODEL = "model.onnx"


class _ExportedYolo(nn.Module):
    """The network as served: every anchor's box and class probabilities, masks and embedding.

    Heads without NMS select their best 300 inside the network, which drops the probabilities of all
    classes but one; here they return all anchors and the engine selects.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network.fuse(verbose=False).eval()
        head = self.network.model[-1]
        head.export, head.format = True, "onnx"
        self.one_to_one = bool(head.end2end)
        if self.one_to_one:
            head.postprocess = lambda answers: answers
        self._coarsest: list[torch.Tensor] = []
        head.register_forward_pre_hook(self._remember)

    def _remember(self, _head: nn.Module, inputs: tuple[Any, ...]) -> None:
        self._coarsest[:] = [inputs[0][-1]]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Map images (B, 3, H, W) RGB 0..1 to output0 (B, 4 + C (+ M), A), (protos,) embedding."""
        answer = self.network(images)
        parts = answer if isinstance(answer, tuple) else (answer,)
        first = parts[0].permute(0, 2, 1) if self.one_to_one else parts[0]
        return (first, *parts[1:], self._coarsest[0].mean(dim=(2, 3)))


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
    network, meta = read_checkpoint(checkpoint)
    height, width = meta["image_size"]
    settings = meta["settings"]
    served = _ExportedYolo(network)
    outputs = ["output0", *(["protos"] if meta["task"] == "masks" else []), "embedding"]
    known = {
        "name": "yolo",
        "engine": "yolo",
        "task": meta["task"],
        "labels": meta["labels"],
        "input_size": (height, width),
        "dataset": meta["fingerprint"],
        "base": Path(settings["base"]).name if settings["base"] else "",
        "settings": settings,
        "licence": "AGPL-3.0",
    }
    reading = {
        "one_to_one": served.one_to_one,
        "notes": meta["notes"],
        "epochs": meta["epochs"],
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        with torch.no_grad():
            served(torch.zeros(2, 3, height, width))  # the head computes its anchors at first use
            torch.onnx.export(
                served,
                (torch.zeros(2, 3, height, width),),
                str(model),
                opset_version=17,
                input_names=["images"],
                output_names=outputs,
                dynamic_axes={name: {0: "batch"} for name in ("images", *outputs)},
                dynamo=False,
            )
        return write_bundle(
            destination,
            files={MODEL: model, WEIGHTS: checkpoint_file(checkpoint)},
            **{**known, **card, "extra": {**reading, **card.get("extra", {})}},
        )
