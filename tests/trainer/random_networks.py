"""torchvision's networks with random weights that tell places apart, as learnt ones do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.trainer.agreement import Seen
from trainer.backends.torchvision_detection.networks import build


def detector(
    architecture: str,
    classes: tuple[str, ...],
    size: tuple[int, int],
    *,
    seed: int = 3,
    brief: bool = False,
) -> nn.Module:
    """Return a detector in evaluation. As it comes, every place has about the same score.

    brief: fewer regions and objects than usual, for time alone.

    The normalisations count noise, so that maps have a spread; then the heads that choose are
    made louder, so that chance does not decide who is best.
    """
    torch.manual_seed(seed)
    network = build(architecture, classes, image_size=size)
    settle(network.backbone, (min(size[0], 160), min(size[1], 224)))
    with torch.no_grad():
        if hasattr(network, "roi_heads"):
            if brief:
                network.rpn._post_nms_top_n["testing"] = 100
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


def torchvision_saw(network: nn.Module, image: NDArray[np.uint8], names: Sequence[str]) -> Seen:
    """Return what torchvision says of an image (H, W, 3) by itself; boxes of no area are none."""
    with torch.inference_mode():
        (found,) = network([torch.from_numpy(image).permute(2, 0, 1).float() / 255])
    drawn = (found["boxes"][:, 2:] > found["boxes"][:, :2]).all(dim=1)
    found = {name: values[drawn] for name, values in found.items()}
    first = int(hasattr(network, "roi_heads"))
    return Seen(
        found["boxes"].double().numpy(),
        found["scores"].double().numpy(),
        [names[n - first] for n in found["labels"].tolist()],
        [mask[0].numpy() >= 0.5 for mask in found["masks"]] if "masks" in found else None,
    )


def settle(part: nn.Module, size: tuple[int, int]) -> None:
    """Let the normalisations of a network count a few images of noise."""
    with torch.no_grad():
        part.train()
        for _ in range(20):
            coarse = torch.randn(2, 3, size[0] // 8, size[1] // 8)
            part(nn.functional.interpolate(coarse, size=size, mode="bilinear"))
        part.eval()
