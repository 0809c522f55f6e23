"""The loss: cross-entropy, weighted up along the border and at the clicks, and soft IoU.

Half of the cross-entropy is the normalised focal loss (Sofiiuk et al., 2019), which focuses on the
pixels that are still wrong; the other half keeps inaccurate labels from dominating.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from trainer.backends.extreme_points.networks.unet import InteractorOutputs

if TYPE_CHECKING:
    from torch import Tensor

_RIM = 1.5  # extra weight of a pixel near the border
_CLICK = 6.0  # extra weight of a pixel at a corrective click
_FOCUS = 2.0  # exponent of a pixel's error
_IOU_WEIGHT = 0.2


def loss(
    outputs: InteractorOutputs, masks: Tensor, clicks: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its components.

    masks: (B, 1, H, W) 0 or 1. clicks: (B, 1, H, W) 0..1, map of the corrective clicks.
    """
    rim = functional.max_pool2d(masks, 5, 1, 2) + functional.max_pool2d(-masks, 5, 1, 2)
    weights = 1 + _RIM * rim + _CLICK * clicks
    each = functional.binary_cross_entropy_with_logits(outputs.logits, masks, reduction="none")
    share = torch.sigmoid(outputs.logits)
    missed = (share - masks).abs().detach() ** _FOCUS
    entropy = (_mean(each, weights) + _mean(each, weights * missed)) / 2
    common = (share * masks).sum(dim=(1, 2, 3))
    union = (share + masks - share * masks).sum(dim=(1, 2, 3))
    overlap = 1 - (common + 1) / (union + 1)
    truth = hard_iou(outputs.logits.detach(), masks)
    iou_loss = functional.binary_cross_entropy_with_logits(outputs.quality, truth)
    total = entropy.mean() + overlap.mean() + _IOU_WEIGHT * iou_loss
    parts = {"entropy": entropy.mean(), "overlap": overlap.mean(), "iou": truth.mean()}
    return total, parts


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of each mask's pixels, (B,)."""
    whole: Tensor = weights.sum(dim=(1, 2, 3)).clamp(min=1e-3)
    return (values * weights).sum(dim=(1, 2, 3)) / whole


def hard_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the IoU of each mask of a batch, (B,)."""
    found = logits > 0
    target = masks > 0.5
    common = (found & target).sum(dim=(1, 2, 3))
    union = (found | target).sum(dim=(1, 2, 3)).clamp(min=1)
    return common / union
