"""torchvision's detectors: what the exported one says is what torchvision says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from tests.trainer.agreement import Agreement, Seen
from tests.trainer.random_networks import detector
from trainer.backends.torchvision_detection.export import export_network
from trainer.detections import Detections
from trainer.engines import load

CLASSES = ("cat", "dog", "cow")
SIZE = (128, 160)
FOUR = (
    "fasterrcnn_mobilenet_v3_small_fpn",
    "retinanet_mobilenet_v3_small_fpn",
    "fcos_mobilenet_v3_small_fpn",
    "maskrcnn_mobilenet_v3_small_fpn",
)


def picture(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Blobs of colour, of some structure at every scale."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)


def theirs(network: torch.nn.Module, image: np.ndarray) -> Seen:
    """What torchvision answers from the image's own pixels on; boxes of no area are none."""
    with torch.inference_mode():
        pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
        (found,) = network([pixels])
    drawn = (found["boxes"][:, 2:] > found["boxes"][:, :2]).all(dim=1)
    found = {name: values[drawn] for name, values in found.items()}
    first = int(hasattr(network, "roi_heads"))
    return Seen(
        found["boxes"].double().numpy(),
        found["scores"].double().numpy(),
        [CLASSES[n - first] for n in found["labels"].tolist()],
        [mask[0].numpy() >= 0.5 for mask in found["masks"]] if "masks" in found else None,
    )


def ours(found: Detections, size: tuple[int, int]) -> Seen:
    bitmaps = None
    if found.masks is not None:
        bitmaps = []
        for mask in found.masks:
            whole = np.zeros(size, np.bool_)
            rows, columns = mask.bitmap.shape
            whole[mask.top : mask.top + rows, mask.left : mask.left + columns] = mask.bitmap
            bitmaps.append(whole)
    names = [CLASSES[n] for n in found.class_ids]
    return Seen(found.boxes.astype(float), found.scores.astype(float), names, bitmaps)


@pytest.mark.parametrize("architecture", FOUR)
def test_the_bundle_says_what_torchvision_says(architecture, tmp_path):
    """Of images larger than the input and of its aspect; scores within 1e-3, boxes within 0.1."""
    network = detector(architecture, CLASSES, SIZE)
    card = {"name": "n", "labels": CLASSES, "extra": {"scaling": "linear"}}
    bundle = export_network(network, SIZE, tmp_path / "b", files={}, card=card)
    served = load(bundle, threads=1)
    size = (SIZE[0] * 3 // 2, SIZE[1] * 3 // 2)
    images = [picture(seed, size) for seed in range(2)]

    least = getattr(network, "score_thresh", 0.05)
    agreed = Agreement()
    for image, found in zip(images, served.detect(images, min_score=least), strict=True):
        agreed.add(ours(found, size), theirs(network, image), pixels=0.1, score=1e-3)

    assert agreed.paired > 20, agreed
    # Of two that are equally good, rounding decides which suppresses the other.
    assert agreed.share > 0.97, agreed
    if architecture.startswith("maskrcnn"):
        assert min(agreed.iou) > 0.9, agreed
