"""libreyolo's own losses on the frames of the shared loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from trainer.backends.learning.frames import TrainingFrame
from trainer.backends.libreyolo.families import family_of
from trainer.backends.libreyolo.serving import preprocess

Loss = Callable[[nn.Module, Sequence[TrainingFrame]], tuple[Tensor, Mapping[str, Tensor]]]


def loss_of(architecture: str, network: Any, classes: int, device: torch.device) -> Loss:
    """Return a function that computes the loss of a network on frames, and its components."""
    family = architecture.partition("_")[0]
    if family in ("yolox", "yolo9"):
        return _dense_loss(family, device)
    if family == "rfdetr":
        criterion = network.criterion_of(distributed_normalize=False)[0]
    else:
        criterion = _criterion(family, classes, device)
    return _set_loss(family, criterion.to(device), device)


def _dense_loss(family: str, device: torch.device) -> Loss:
    def error(
        network: nn.Module, samples: Sequence[TrainingFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        images = _images(samples, device)
        height, width = images.shape[-2:]
        most = max(1, *(len(frame.boxes) for frame in samples))
        targets = torch.zeros(len(samples), most, 5, device=device)  # rows of zeros are padding
        for row, frame in zip(targets, samples, strict=True):
            boxes = torch.from_numpy(frame.boxes).to(device)
            if family == "yolox":
                boxes = _centred(boxes)
            else:
                boxes = boxes / boxes.new_tensor([width, height, width, height])
            row[: len(boxes), 0] = torch.from_numpy(frame.class_ids).to(device)
            row[: len(boxes), 1:] = boxes
        found: dict[str, Tensor] = network(preprocess(family, images), targets=targets)
        parts = {name: value for name, value in found.items() if name.endswith("_loss")}
        total = parts.pop("total_loss")
        return total, {k: v for k, v in parts.items() if isinstance(v, Tensor)}

    return error


def _set_loss(family: str, criterion: Any, device: torch.device) -> Loss:
    def error(
        network: nn.Module, samples: Sequence[TrainingFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        images = _images(samples, device)
        height, width = images.shape[-2:]
        targets = []
        for frame in samples:
            boxes = _centred(torch.from_numpy(frame.boxes).to(device))
            boxes = boxes / boxes.new_tensor([width, height, width, height])
            labels = torch.from_numpy(frame.class_ids).to(device)
            targets.append({"labels": labels, "boxes": boxes.clamp(0, 1)})
        found = criterion(network(preprocess(family, images), targets=targets), targets)
        if family == "rfdetr":  # the other losses are already weighted
            weights = criterion.weight_dict
            found = {name: found[name] * weights[name] for name in found if name in weights}
        parts: dict[str, Tensor] = {}
        for name, value in found.items():  # the auxiliary layers' losses are summed
            kind = "_".join(name.split("_")[:2])
            parts[kind] = parts.get(kind, value.new_zeros(())) + value
        return torch.stack([*parts.values()]).sum(), parts

    return error


def _criterion(family: str, classes: int, device: torch.device) -> Any:
    """Return the criterion with the loss weights of libreyolo's own trainer."""
    trainer = import_module(f"libreyolo.models.{family_of(family).module}.trainer")
    kind = trainer.DFINETrainer if family == "dfine" else trainer.DEIMTrainer
    stand_in = SimpleNamespace(
        config=SimpleNamespace(num_classes=classes), device=device, _is_segment=lambda: False
    )
    return kind.build_criterion(stand_in, distributed_normalize=False)


def _images(samples: Sequence[TrainingFrame], device: torch.device) -> Tensor:
    """Return (B, 3, H, W) of 0..255."""
    stacked = torch.stack([torch.from_numpy(frame.pixels) for frame in samples])
    return stacked.to(device).permute(0, 3, 1, 2).float()


def _centred(boxes: Tensor) -> Tensor:
    """Return boxes (N, 4) x1 y1 x2 y2 as centre and size."""
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
