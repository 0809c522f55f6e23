"""torchvision's detectors: what the exported one says is what torchvision says."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.trainer.agreement import Agreement, saw
from tests.trainer.random_networks import detector, torchvision_saw
from trainer.backends.torchvision_detection.export import export_network
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


@pytest.mark.parametrize("architecture", FOUR)
def test_the_bundle_says_what_torchvision_says(architecture, tmp_path):
    """Of images larger than the input, of its aspect and narrower, so that a part is padding.

    Scores within 1e-3, boxes within 0.1.
    """
    network = detector(architecture, CLASSES, SIZE, brief=True)
    card = {"name": "n", "labels": CLASSES, "extra": {"scaling": "linear"}}
    bundle = export_network(network, SIZE, tmp_path / "b", files={}, card=card)
    served = load(bundle, threads=1)
    images = [picture(seed, (SIZE[0] * 3 // 2, width)) for seed, width in enumerate((240, 200))]

    least = getattr(network, "score_thresh", 0.05)
    agreed = Agreement()
    for image, found in zip(images, served.detect(images, min_score=least), strict=True):
        peer = torchvision_saw(network, image, CLASSES)
        agreed.add(saw(found, CLASSES, image.shape[:2]), peer, pixels=0.1, score=1e-3)

    assert agreed.paired > 20, agreed
    # Of two that are equally good, rounding decides which suppresses the other.
    assert agreed.share > 0.97, agreed
    if architecture.startswith("maskrcnn"):
        assert min(agreed.iou) > 0.9, agreed
