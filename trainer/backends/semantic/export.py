"""Checkpoint → bundle: the network in ONNX for serving, its weights for the next fit."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.backends.learning.onnx_writing import write_onnx
from trainer.backends.learning.starting.weights import (
    WEIGHTS,
    known_fields,
    read_weights,
    weights_file,
)
from trainer.backends.semantic.networks import build
from trainer.bundles.bundle import Bundle, write_bundle

MODEL = "model.onnx"
ENGINES = ("semantic",)
# Normalisation that torchvision's weights expect: mean and std of ImageNet's pixels, 0..1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ExportedSemantic(nn.Module):
    """Map images (B, 3, H, W) of 0..255 RGB to the class of each pixel.

    Returns probabilities (B, 1 + C, H, W), background first, and a unit-length embedding (B, D).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and embedding."""
        logits, coarse = logits_of(self.network, images)
        top = functional.normalize(coarse.mean(dim=(2, 3)), dim=1)
        return torch.softmax(logits, dim=1), top


def logits_of(network: Any, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return the network's logits at the size of the images, and its coarsest feature map.

    images: (B, 3, H, W) of 0..255 RGB. Returns (B, 1 + C, H, W) and (B, D, h, w).
    """
    mean, std = (images.new_tensor(values)[None, :, None, None] for values in (MEAN, STD))
    features = network.backbone((images / 255 - mean) / std)
    coarse = features["high"] if "high" in features else features["out"]
    answer = network.classifier(features if "high" in features else coarse)
    size = images.shape[-2:]
    return functional.interpolate(answer, size, mode="bilinear", align_corners=False), coarse


def export(checkpoint: Path, destination: Path, *, card: Mapping[str, Any]) -> Bundle:
    """Write the bundle; see Backend.export. card: fields of Card that override the checkpoint's."""
    weights, meta = read_weights(checkpoint, engines=ENGINES)
    network = build(meta["architecture"], len(meta["labels"]))
    network.load_state_dict(weights)
    size = (int(meta["image_size"][0]), int(meta["image_size"][1]))
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
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / MODEL
        with torch.no_grad():
            write_onnx(
                ExportedSemantic(network).eval(),
                (torch.zeros(2, 3, *image_size),),
                model,
                inputs=["images"],
                outputs=["probabilities", "embedding"],
                free=dict.fromkeys(("images", "probabilities", "embedding"), "batch"),
            )
        known = {"engine": "semantic", "task": "masks", "input_size": image_size}
        return write_bundle(destination, files={MODEL: model, **files}, **{**known, **card})
