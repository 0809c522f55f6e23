"""The product's heads on ImageNet features that are computed once a frame: fits in seconds.

The encoder never learns, so what it says of a frame and of its mirror image is kept. Everything
behind it is the product's: network, targets, loss, loop, decoding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.bench.selecting.ways import BATCH, Steps
from trainer.backends.centernet.feature_network import FeatureCenterNet
from trainer.backends.centernet.frames import (
    Augmentation,
    CenterNetFrame,
    augment,
    collate,
    read_frames,
)
from trainer.backends.centernet.loss import loss
from trainer.backends.centernet.network import STRIDE, UNIT
from trainer.backends.features.pretrained import lite0
from trainer.backends.learning.balance import class_weights
from trainer.backends.learning.loop import BatchesAndLoss, OptimizerSettings, TrainingLoop
from trainer.backends.learning.sampling import batch_rows
from trainer.data.dataset import Dataset
from trainer.detector import Detector, FitConfig
from trainer.engines.centernet import CenterNetDetector

_HEADS = "heads.pt"
# Nothing but mirroring: every other change would need features of its own.
_MIRRORED = Augmentation(zoom=1.0, stretch=1.0, colour=0.0)


class Remembering(nn.Module):
    """An encoder that computes the features of an image once and keeps them in half precision."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        # In a list, so that its weights are no part of what the heads learn or save.
        self._encoder = [encoder.eval()]
        self._known: dict[bytes, tuple[Tensor, ...]] = {}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the features of (B, 3, H, W) images 0..255 at the encoder's strides."""
        rows = [self._features(image) for image in images]
        return tuple(torch.stack([row[n] for row in rows]).float() for n in range(len(rows[0])))

    def _features(self, image: Tensor) -> tuple[Tensor, ...]:
        pixels = image.detach().to(torch.uint8).contiguous()
        key = hashlib.blake2b(pixels.numpy().tobytes(), digest_size=16).digest()
        if key not in self._known:
            with torch.inference_mode(False), torch.no_grad():
                found = self._encoder[0](image[None].contiguous().clone())
            # The finest features (stride 2) are read by no head.
            empty = torch.zeros(0, dtype=torch.float16)
            self._known[key] = (empty, *(one[0].half() for one in found[1:]))
        return self._known[key]


@dataclass(frozen=True)
class Frozen:
    """A way to learn; see ways.Way. size: (height, width) of the input. width: of the pyramid."""

    steps: Steps
    size: tuple[int, int]
    width: int = 16
    rate: float = 4e-3
    encoder: Remembering = field(default_factory=lambda: Remembering(lite0(frozen=17)))

    @property
    def told(self) -> str:
        """See Way."""
        return (
            f"centernet's heads ({self.width} channels) on frozen ImageNet features at "
            f"{self.size[0]}x{self.size[1]}; each labelled frame seen {self.steps.passes:g} times, "
            f"in {self.steps.least} to {self.steps.most} batches of {BATCH}"
        )

    @property
    def key(self) -> Sequence[Any]:
        """See Way."""
        steps = [self.steps.passes, self.steps.least, self.steps.most, BATCH]
        return ["frozen", self.size, self.width, self.rate, steps]

    def fit(self, dataset: Dataset, folder: Path, *, seed: int) -> None:
        """See Way."""
        images = dataset.split("train")
        frames = read_frames(dataset, images, self.size, lambda _: None)
        config = FitConfig(
            backend="centernet",
            batch_size=BATCH,
            learning_rate=self.rate,
            image_size=self.size,
            seed=seed,
            evaluation_period=0,
        )
        network = self._network(len(dataset.labels), seed)
        loop = TrainingLoop(
            dataset,
            config,
            network,
            run_dir=folder,
            total=self.steps.of(len(images)),
            per_epoch=1,
            optimizer=OptimizerSettings(weight_decay=0.02, warmup=0.08, save_every=1e9),
        )
        loop.run(_lesson(frames, len(dataset.labels), seed), lambda _: None)
        torch.save(loop.weights, folder / _HEADS)
        for left in set(folder.iterdir()) - {folder / _HEADS}:
            left.unlink()

    def open(self, folder: Path, dataset: Dataset) -> Detector:
        """See Way."""
        network = self._network(len(dataset.labels), 0)
        network.load_state_dict(torch.load(folder / _HEADS, weights_only=True))
        session = _Session(network.eval())
        return CenterNetDetector(dataset.labels, self.size, STRIDE, UNIT, session)

    def _network(self, classes: int, seed: int) -> FeatureCenterNet:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return FeatureCenterNet(classes, self.encoder, width=self.width)  # type: ignore[arg-type]


@dataclass(frozen=True)
class _Session:
    """The network in the place of an ONNX Runtime session."""

    network: FeatureCenterNet

    def run(self, _: None, given: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        with torch.no_grad():
            return [answer.numpy() for answer in self.network(torch.from_numpy(given["images"]))]


def _lesson(
    frames: list[CenterNetFrame], classes: int, seed: int
) -> BatchesAndLoss[CenterNetFrame]:
    ids = np.concatenate([frame.class_ids for frame in frames])
    weights = class_weights(torch.from_numpy(np.bincount(ids, minlength=classes)).float(), 0.5)

    def batch(step: int) -> list[CenterNetFrame]:
        rows = batch_rows(len(frames), seed=seed, step=step, batch_size=BATCH)
        return [
            augment(frames[row], _MIRRORED, rng, frames[row].pixels.shape[:2]) for row, rng in rows
        ]

    def error(
        network: nn.Module, samples: Sequence[CenterNetFrame]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        pixels, boxes, class_ids = collate(list(samples))
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        return loss(network(images), torch.from_numpy(boxes), torch.from_numpy(class_ids), weights)

    return BatchesAndLoss(batch, error)
