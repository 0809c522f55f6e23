"""What a step learns: objects drawn by source, each answered twice, the second time corrected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from trainer.backends.extreme_points.clicking import Sample, sample
from trainer.backends.extreme_points.cutouts import Cutout
from trainer.backends.extreme_points.iterating import answered, spoilt
from trainer.backends.extreme_points.loss import loss
from trainer.backends.extreme_points.networks.architecture import channels_of
from trainer.backends.extreme_points.scenes import pasted, shape
from trainer.backends.extreme_points.settings import Settings
from trainer.backends.learning.loop import Lesson
from trainer.detector import FitConfig

Drawn = tuple[Sample, int]  # a sample, and the seed of what happens to it in its step


class Things:
    """The objects at hand, by source, and the drawing of batches; a function of seed and step."""

    def __init__(self, things: list[Cutout], settings: Settings) -> None:
        self.settings = settings
        by_source: dict[str, list[Cutout]] = {}
        for thing in things:
            by_source.setdefault(thing.source, []).append(thing)
        self.sources = [by_source[name] for name in sorted(by_source)]
        weights = np.array([settings.shares.get(name, 0.0) for name in sorted(by_source)])
        if not weights.sum():
            weights = np.ones(len(self.sources))
        self.shares = weights / weights.sum()

    def batch(self, seed: int, step: int, count: int, size: int) -> list[Drawn]:
        """Draw the samples of a step."""
        found = []
        for row in range(count):
            rng = np.random.default_rng([seed, step, row])
            one = sample(self._thing(rng), size, self.settings.variation, rng)
            if rng.random() < self.settings.spoilt:
                one = spoilt(one, rng)
            found.append((one, int(rng.integers(1 << 31))))
        return found

    def _thing(self, rng: np.random.Generator) -> Cutout:
        thing = self._any(rng)
        if rng.random() >= self.settings.composed:
            return thing
        behind = self._any(rng)
        return pasted(thing, behind, rng) if rng.random() < 0.5 else shape(thing, behind, rng)

    def _any(self, rng: np.random.Generator) -> Cutout:
        source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
        return source[int(rng.integers(len(source)))]


def lesson(things: Things, config: FitConfig, settings: Settings, total: int) -> Lesson[Drawn]:
    """Return the batches of a fit of so many steps, and what is learnt from one."""
    device = torch.device(config.device)
    small = settings.grow * total if settings.first_size else 0

    def batch(step: int) -> list[Drawn]:
        size = settings.first_size if step < small else config.image_size[0]
        return things.batch(config.seed, step, config.batch_size, size)

    def error(network: nn.Module, drawn: Sequence[Drawn]) -> tuple[Tensor, Mapping[str, Tensor]]:
        if settings.still:
            _still(network)
        samples = [one for one, _ in drawn]
        total, parts, shares = _answer(network, samples, device)
        after = [
            answered(one, share, np.random.default_rng(seed))
            for (one, seed), share in zip(drawn, shares, strict=True)
        ]
        again, more, _ = _answer(network, after, device)
        figures = {name: (parts[name] + more[name]) / 2 for name in parts}
        return (total + again) / 2, figures | {"iou_corrected": more["iou"]}

    return Lesson(batch, error)


def tensors(samples: Sequence[Sample], channels: int) -> tuple[Tensor, Tensor]:
    """Return what a network sees, (B, channels, S, S), and the masks, (B, 1, S, S) 0 or 1."""
    seen = torch.from_numpy(np.stack([one.seen(channels) for one in samples]))
    masks = torch.from_numpy(np.stack([one.mask for one in samples]))
    return seen, masks[:, None].float()


def _answer(
    network: nn.Module, samples: Sequence[Sample], device: torch.device
) -> tuple[Tensor, dict[str, Tensor], np.ndarray]:
    seen, masks = tensors(samples, channels_of(network))
    seen = seen.to(device).contiguous(memory_format=torch.channels_last)
    found = network(seen)
    clicks = seen[:, 4:6].amax(dim=1, keepdim=True)
    total, parts = loss(found, masks.to(device), clicks)
    shares = torch.sigmoid(found.logits.detach()[:, 0].float()).cpu().numpy()
    return total, parts, shares


def _still(network: nn.Module) -> None:
    """Leave the statistics of the base's normalisations as they are."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()
