"""Interpolate between the base's weights and the fit's, to keep what few objects cannot teach.

Wortsman et al., Robust fine-tuning of zero-shot models (WiSE-FT), CVPR 2022: interpolated weights
are often better than both, and the choice on held-out objects is never worse than the base.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.backends.extreme_points.click_samples import ClickAugmentation, ClickSample, sample
from trainer.backends.extreme_points.loss import hard_iou
from trainer.backends.extreme_points.networks.architecture import Network, channels_of
from trainer.backends.extreme_points.object_crops import ObjectCrop
from trainer.data.annotations import AnnotatedImage

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_LEAST = 10  # held-out objects; with fewer the share is 0.5
_MOST = 300
_BATCH = 32
# As annotators click: mostly exact, on unmodified objects.
_AS_CLICKED = ClickAugmentation(
    relative_jitter=0.05,
    exact_share=0.7,
    boxes=0,
    single_click=0,
    corrected=0,
    turn=0,
    stretch=1,
    colour=0,
)


@dataclass(frozen=True)
class Blend:
    """share: of the fit in the weights, 0..1. ious: share → mean IoU on the held-out objects."""

    share: float
    ious: Mapping[float, float]
    objects: int


def split_held_out(
    images: Sequence[AnnotatedImage], share: float, seed: int
) -> tuple[tuple[AnnotatedImage, ...], tuple[AnnotatedImage, ...]]:
    """Split images into those to train on, at least one, and a held-out share."""
    count = min(round(share * len(images)), len(images) - 1)
    drawn = set(np.random.default_rng([seed, 23]).permutation(len(images))[:count].tolist())
    trained_on = tuple(image for n, image in enumerate(images) if n not in drawn)
    return trained_on, tuple(image for n, image in enumerate(images) if n in drawn)


def interpolate(
    base: Mapping[str, Tensor], fitted: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Return the weights interpolated from the base (share 0) to the fit (share 1)."""
    return {
        name: torch.lerp(base[name], value, share) if value.is_floating_point() else value.clone()
        for name, value in fitted.items()
    }


def best_blend(
    network: Network,
    base: Mapping[str, Tensor],
    fitted: Mapping[str, Tensor],
    held_out: Sequence[ObjectCrop],
    *,
    size: int,
    seed: int,
) -> Blend:
    """Return the share that is best on the held-out objects; of equal ones the smallest.

    network: of the same architecture; its weights are overwritten. size: of the crops, pixels.
    """
    if len(held_out) < _LEAST:
        return Blend(0.5, {}, len(held_out))
    samples = [
        sample(thing, size, _AS_CLICKED, np.random.default_rng([seed, 29, n]))
        for n, thing in enumerate(held_out[:: -(-len(held_out) // _MOST)])
    ]
    ious = {}
    for share in SHARES:
        network.load_state_dict(interpolate(base, fitted, share))
        ious[share] = float(_ious(network, samples).mean())
    return Blend(max(SHARES, key=lambda share: (ious[share], -share)), ious, len(samples))


@torch.no_grad()
def _ious(network: Network, samples: Sequence[ClickSample]) -> NDArray[np.float32]:
    network.eval()
    device = next(network.parameters()).device
    found = []
    for first in range(0, len(samples), _BATCH):
        part = samples[first : first + _BATCH]
        count = channels_of(network)
        seen = torch.from_numpy(np.stack([one.seen(count) for one in part])).to(device)
        masks = torch.from_numpy(np.stack([one.mask for one in part]))[:, None].float()
        found.append(hard_iou(network(seen).logits, masks.to(device)).cpu().numpy())
    return np.concatenate(found)
