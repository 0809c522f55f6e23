"""Crops of the training objects with their surroundings, cut once and kept in memory as bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage

LEAST_AREA = 40  # pixels; smaller masks have no meaningful shape
_MARGIN = 0.75  # of a side, around the object, on each side
SIDE = 120  # pixels: minimum of the longer side at which objects are stored


@dataclass(frozen=True)
class ObjectCrop:
    """One object: pixels (H, W, 3), mask (H, W), rim (K, 2) x y of the mask's border pixels.

    source: its dataset. scale: pixels of the crop per pixel of the original image.
    """

    pixels: RGBImage
    mask: NDArray[np.bool_]
    rim: NDArray[np.float64]
    source: str = ""
    scale: float = 1.0


def crop_objects(
    dataset: Dataset,
    images: tuple[AnnotatedImage, ...],
    *,
    most: int | None,
    seed: int,
    on_done: Callable[[int], None],
    side: int = SIDE,
) -> list[ObjectCrop]:
    """Crop the objects of these images; call on_done(n) after each image.

    Objects without a mask, crowds and specks are skipped. most: objects per source, chosen at
    random. side: longer sides of more pixels are scaled down to this.
    """
    drawn = _drawn(images, most, seed)
    found: list[ObjectCrop] = []
    for done, image in enumerate(images, start=1):
        rows = drawn.get(image.file_name)
        if rows:
            pixels = dataset.read(image)
            for row in rows:
                mask = image.objects[row].bitmap(image.height, image.width)
                if (cutout := crop_object(pixels, mask, source_of(image), side=side)) is not None:
                    found.append(cutout)
        on_done(done)
    return found


def crop_object(
    pixels: RGBImage, mask: NDArray[np.bool_], source: str = "", *, side: int = SIDE
) -> ObjectCrop | None:
    """Crop one object of an image, its longer side at most `side` pixels; None for a speck."""
    if int(mask.sum()) < LEAST_AREA:
        return None
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(ys[-1] - ys[0]) + 1, int(xs[-1] - xs[0]) + 1
    reach = round(_MARGIN * (0.6 * max(height, width) + 0.4 * min(height, width))) + 6
    top, left = max(0, int(ys[0]) - reach), max(0, int(xs[0]) - reach)
    rows, columns = slice(top, int(ys[-1]) + 1 + reach), slice(left, int(xs[-1]) + 1 + reach)
    part, inner = pixels[rows, columns], mask[rows, columns]
    scale = side / max(height, width)
    if scale < 1:
        size = max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
        shares = cv2.resize(inner.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        inner = np.asarray(shares) >= 0.5
    kept = np.asarray(inner, np.bool_)
    return (
        ObjectCrop(part.copy(), kept, rim_of(kept), source, min(1.0, scale))
        if kept.sum() >= 16
        else None
    )


def rim_of(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the centres of the mask's border pixels, (K, 2) x y."""
    inner = cv2.erode(
        mask.astype(np.uint8),
        np.ones((3, 3), np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    ys, xs = np.nonzero(mask & (inner == 0))
    return np.stack([xs, ys], axis=1).astype(np.float64) + 0.5


def source_of(image: AnnotatedImage) -> str:
    """Return the source of an image, "" when the dataset does not name it."""
    return str(image.extra.get("source", ""))


def _drawn(images: tuple[AnnotatedImage, ...], most: int | None, seed: int) -> dict[str, list[int]]:
    by_source: dict[str, list[tuple[str, int]]] = {}
    for image in images:
        for row, found in enumerate(image.objects):
            if not found.crowd and found.segmentation is not None:
                by_source.setdefault(source_of(image), []).append((image.file_name, row))
    rng = np.random.default_rng([seed, 11])
    drawn: dict[str, list[int]] = {}
    for _, rows in sorted(by_source.items()):
        kept = rows
        if most is not None and len(rows) > most:
            kept = [rows[i] for i in sorted(rng.choice(len(rows), most, replace=False))]
        for name, row in kept:
            drawn.setdefault(name, []).append(row)
    return drawn
