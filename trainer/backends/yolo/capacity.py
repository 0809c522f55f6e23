"""How many images ultralytics can train on at once on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from trainer.backends.fit_checks import devices_of
from trainer.backends.learning.memory import free_bytes, measure_memory
from trainer.backends.yolo.settings import network_size
from trainer.detector import FitConfig, Progress
from trainer.errors import TrainingError

_MEBIBYTE = 1 << 20
_LOSS = 1.3  # memory of assigning anchors to objects, relative to the network's; an estimate


def fitting_batch(model: str, config: FitConfig, report: Callable[[Progress], None]) -> int:
    """Return batch_size, halved until the batch fits into memory.

    model: a network's .yaml or weights, as ultralytics accepts it. Raises TrainingError when not
    even one image fits.
    """
    height, width = network_size(config)
    network = _network(model)
    network.train()
    images = torch.zeros(2, 3, height, width)

    def forward() -> torch.Tensor:
        return _sum(network(images))

    need = measure_memory(network, forward, len(images))
    devices = devices_of(config)
    free = free_bytes(torch.device(devices[0]))
    batch = config.batch_size
    while batch > len(devices) and need.of(int(_LOSS * batch / len(devices))) > 0.8 * free:
        batch = max(len(devices), batch // 2 // len(devices) * len(devices))
    if need.of(1) > free:
        raise TrainingError(
            "yolo",
            f"a single image of {height}x{width} needs about {need.of(1) // _MEBIBYTE} MiB to "
            f"train on, {free // _MEBIBYTE} MiB are free: choose a smaller image_size or network",
        )
    figures = {
        "needs_mib": need.of(int(_LOSS * batch / len(devices))) / _MEBIBYTE,
        "free_mib": free / _MEBIBYTE,
        "at_once": float(batch),
    }
    report(Progress("memory", 1, 1, None, figures))
    return batch


def _network(model: str) -> Any:
    from ultralytics.nn.tasks import DetectionModel, SegmentationModel, load_checkpoint

    if model.endswith(".yaml"):
        kind: Any = SegmentationModel if "-seg" in model else DetectionModel
        return kind(model, verbose=False)
    read: Any = load_checkpoint
    network = read(model)[0].float()
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return network


def _sum(answer: Any) -> torch.Tensor:
    """Sum every tensor of the network's output, so that backward covers all of it."""
    if isinstance(answer, torch.Tensor):
        return answer.float().sum()
    parts = answer.values() if isinstance(answer, dict) else answer
    return sum((_sum(part) for part in parts), torch.zeros(()))
