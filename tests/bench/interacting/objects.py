"""The objects of a set, and the clicks of a person who knows the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.data.annotations import decode_mask
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage

LEAST_AREA = 40  # pixels; below, a mask has no shape to speak of

Bitmap = NDArray[np.bool_]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """One object to be found: its image (H, W, 3), its file's bytes, its true mask (H, W).

    Nobody writes to the pixels, so that an engine may remember what it answered on them. kind: the
    part of its set, "" where it has none. unlabelled: (H, W), what counts neither way; the mask
    holds none of it.
    """

    pixels: RGBImage
    data: bytes
    mask: Bitmap
    kind: str = ""
    unlabelled: Bitmap | None = None


def targets(dataset: Dataset, split: str, count: int, seed: int = 5) -> Iterator[Target]:
    """Yield objects of a part, drawn at random but always the same, image by image.

    Only whole ones: an object in several parts has no four points that tell its extent. Pixels
    that nobody labelled (images[].unlabelled, a segmentation as COCO has them) are left out.
    """
    rows = [
        (image, found)
        for image in dataset.split(split)
        for found in image.objects
        if not found.crowd
        and found.segmentation is not None
        and int(found.extra.get("n_components", 1)) == 1
    ]
    order = np.random.default_rng(seed).permutation(len(rows))[:count]
    last, pixels = "", np.zeros((0, 0, 3), np.uint8)
    for row in sorted(order):
        image, found = rows[row]
        mask = found.bitmap(image.height, image.width)
        unlabelled = None
        if image.extra.get("unlabelled"):
            unlabelled = decode_mask(image.extra["unlabelled"], image.height, image.width)
            mask &= ~unlabelled
        if int(mask.sum()) < LEAST_AREA:
            continue
        if image.file_name != last:
            last, pixels = image.file_name, dataset.read(image).copy()
            pixels.flags.writeable = False
        kind = str(image.extra.get("set", ""))
        yield Target(pixels, dataset.file(image).read_bytes(), mask, kind, unlabelled)


def jittered(points: Points, reach: float, rng: np.random.Generator, mask: Bitmap) -> Points:
    """Return points each moved so many pixels in a direction of its own, inside the image."""
    angle = rng.uniform(0, 2 * np.pi, len(points))
    moved = points + reach * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.clip(moved, 0.5, [mask.shape[1] - 0.5, mask.shape[0] - 0.5])
