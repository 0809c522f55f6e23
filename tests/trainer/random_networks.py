"""torchvision's networks with random weights that tell places apart, as learnt ones do."""

from __future__ import annotations

import torch
from torch import nn

from trainer.backends.torchvision_detection.networks import build


def detector(
    architecture: str, classes: tuple[str, ...], size: tuple[int, int], *, seed: int = 3
) -> nn.Module:
    """Return a detector in evaluation. As it comes, every place has about the same score.

    The normalisations count noise, so that maps have a spread; then the heads that choose are
    made louder, so that chance does not decide who is best.
    """
    torch.manual_seed(seed)
    network = build(architecture, classes, image_size=size)
    settle(network.backbone, size)
    with torch.no_grad():
        if hasattr(network, "roi_heads"):
            network.rpn._post_nms_top_n["testing"] = 100  # for time alone
            network.roi_heads.detections_per_img = 12
            network.rpn.head.cls_logits.weight *= 20
            network.roi_heads.box_predictor.cls_score.weight *= 20
            if network.roi_heads.has_mask():
                network.roi_heads.mask_predictor.mask_fcn_logits.weight *= 8
        else:
            head = network.head.classification_head.cls_logits
            head.weight *= 20
            head.bias += 2
    return network.eval()


def settle(part: nn.Module, size: tuple[int, int]) -> None:
    """Let the normalisations of a network count a few images of noise."""
    with torch.no_grad():
        part.train()
        for _ in range(20):
            coarse = torch.randn(2, 3, size[0] // 8, size[1] // 8)
            part(nn.functional.interpolate(coarse, size=size, mode="bilinear"))
        part.eval()
