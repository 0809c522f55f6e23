"""Batches and loss: objects sampled by source, each predicted twice, the second time corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainer.backends.extreme_points.click_samples import ClickSample, sample
from trainer.backends.extreme_points.corrections import with_correction, with_corrupted_mask
from trainer.backends.extreme_points.loss import loss
from trainer.backends.extreme_points.networks.architecture import channels_of
from trainer.backends.extreme_points.object_crops import ObjectCrop
from trainer.backends.extreme_points.scenes import composed_shape, paste_object
from trainer.backends.extreme_points.settings import ExtremePointsSettings
from trainer.backends.learning.loop import BatchesAndLoss
from trainer.detector import FitConfig

SeededSample = tuple[ClickSample, int]  # a sample, and the seed of its correction


class ObjectSampler:
    """Samples batches of objects by source, as a function of seed and step."""

    def __init__(self, crops: list[ObjectCrop], settings: ExtremePointsSettings) -> None:
        self.settings = settings
        by_source: dict[str, list[ObjectCrop]] = {}
        for crop in crops:
            by_source.setdefault(crop.source, []).append(crop)
        self.sources = [by_source[name] for name in sorted(by_source)]
        weights = np.array([settings.shares.get(name, 0.0) for name in sorted(by_source)])
        if not weights.sum():
            weights = np.ones(len(self.sources))
        self.shares = weights / weights.sum()

    def batch(self, seed: int, step: int, count: int, size: int) -> list[SeededSample]:
        """Return the samples of a step."""
        found = []
        for row in range(count):
            rng = np.random.default_rng([seed, step, row])
            one = sample(self._thing(rng), size, self.settings.augmentation, rng)
            if rng.random() < self.settings.corrupted:
                one = with_corrupted_mask(one, rng)
            found.append((one, int(rng.integers(1 << 31))))
        return found

    def _thing(self, rng: np.random.Generator) -> ObjectCrop:
        crop = self._any(rng)
        if rng.random() >= self.settings.composed:
            return crop
        behind = self._any(rng)
        return (
            paste_object(crop, behind, rng)
            if rng.random() < 0.5
            else composed_shape(crop, behind, rng)
        )

    def _any(self, rng: np.random.Generator) -> ObjectCrop:
        source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
        return source[int(rng.integers(len(source)))]


def batches_and_loss(
    crops: ObjectSampler, config: FitConfig, settings: ExtremePointsSettings, total: int
) -> BatchesAndLoss[SeededSample]:
    """Return the batches of a fit of `total` steps, and their loss."""
    device = torch.device(config.device)
    small = settings.initial_share * total if settings.initial_size else 0

    def batch(step: int) -> list[SeededSample]:
        size = settings.initial_size if step < small else config.image_size[0]
        return crops.batch(config.seed, step, config.batch_size, size)

    def error(
        network: nn.Module, drawn: Sequence[SeededSample]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        if settings.freeze_norm:
            _freeze_norm(network)
        samples = [one for one, _ in drawn]
        total, parts, shares = _answer(network, samples, device)
        after = [
            with_correction(one, share, np.random.default_rng(seed))
            for (one, seed), share in zip(drawn, shares, strict=True)
        ]
        again, more, _ = _answer(network, after, device)
        figures = {name: (parts[name] + more[name]) / 2 for name in parts}
        return (total + again) / 2, figures | {"iou_corrected": more["iou"]}

    return BatchesAndLoss(batch, error)


def tensors(samples: Sequence[ClickSample], channels: int) -> tuple[Tensor, Tensor]:
    """Return the network's inputs, (B, channels, S, S), and the masks, (B, 1, S, S) 0 or 1."""
    seen = torch.from_numpy(np.stack([one.seen(channels) for one in samples]))
    masks = torch.from_numpy(np.stack([one.mask for one in samples]))
    return seen, masks[:, None].float()


def _answer(
    network: nn.Module, samples: Sequence[ClickSample], device: torch.device
) -> tuple[Tensor, dict[str, Tensor], np.ndarray]:
    seen, masks = tensors(samples, channels_of(network))
    seen = seen.to(device).contiguous(memory_format=torch.channels_last)
    found = network(seen)
    clicks = seen[:, 4:6].amax(dim=1, keepdim=True)
    total, parts = loss(found, masks.to(device), clicks)
    shares = torch.sigmoid(found.logits.detach()[:, 0].float()).cpu().numpy()
    return total, parts, shares


def _freeze_norm(network: nn.Module) -> None:
    """Keep the batch norm statistics of the base: set those layers to evaluation mode."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
