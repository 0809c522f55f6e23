"""What a mask is worth: cross-entropy, heavier along the border and at the clicks, and soft IoU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from trainer.backends.extreme_points.network import Outputs

if TYPE_CHECKING:
    from torch import Tensor

_RIM = 1.5  # what a pixel near the border weighs more
_CLICK = 6.0  # what a pixel at a corrective click weighs more
_JUDGE = 0.2


def loss(outputs: Outputs, masks: Tensor, clicks: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Return the loss of a batch and its parts.

    masks: (B, 1, H, W) 0 or 1. clicks: (B, 1, H, W) 0..1, where corrective clicks lie.
    """
    rim = functional.max_pool2d(masks, 5, 1, 2) + functional.max_pool2d(-masks, 5, 1, 2)
    weights = 1 + _RIM * rim + _CLICK * clicks
    each = functional.binary_cross_entropy_with_logits(outputs.logits, masks, reduction="none")
    entropy = (each * weights).sum(dim=(1, 2, 3)) / weights.sum(dim=(1, 2, 3))
    share = torch.sigmoid(outputs.logits)
    common = (share * masks).sum(dim=(1, 2, 3))
    union = (share + masks - share * masks).sum(dim=(1, 2, 3))
    overlap = 1 - (common + 1) / (union + 1)
    truth = hard_iou(outputs.logits.detach(), masks)
    judged = functional.binary_cross_entropy_with_logits(outputs.quality, truth)
    total = entropy.mean() + overlap.mean() + _JUDGE * judged
    parts = {"entropy": entropy.mean(), "overlap": overlap.mean(), "iou": truth.mean()}
    return total, parts


def hard_iou(logits: Tensor, masks: Tensor) -> Tensor:
    """Return the IoU of each mask of a batch, (B,)."""
    found = logits > 0
    wanted = masks > 0.5
    common = (found & wanted).sum(dim=(1, 2, 3))
    union = (found | wanted).sum(dim=(1, 2, 3)).clamp(min=1)
    return common / union
