"""Composed training scenes: an object on another background, or a textured smooth shape.

A few hundred objects are too few to learn what a border is; composed ones are unlimited, and their
masks are exact.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.extreme_points.object_crops import ObjectCrop, rim_of
from trainer.data.images import RGBImage

_SIDE = 190  # pixels, of a scene around a generated shape


def paste_object(item: ObjectCrop, behind: ObjectCrop, rng: np.random.Generator) -> ObjectCrop:
    """Return the object of one crop pasted onto the pixels of another."""
    height, width = item.mask.shape
    ground = cv2.resize(behind.pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        ground = ground[:, ::-1]
    return _blended(item.pixels, np.asarray(ground, np.uint8), item, rng)


def composed_shape(inside: ObjectCrop, behind: ObjectCrop, rng: np.random.Generator) -> ObjectCrop:
    """Return a generated shape with the texture of one crop on the pixels of another."""
    mask = _blob(rng) if rng.random() < 0.6 else _figure(rng)
    if mask.sum() < 200:
        mask = _ellipse(rng)
    size = (_SIDE, _SIDE)
    texture = inside.pixels
    if rng.random() < 0.7:  # a part of it, so that its own object is not recognisable
        h, w = (max(8, int(n * rng.uniform(0.2, 0.6))) for n in texture.shape[:2])
        y = int(rng.integers(0, max(1, texture.shape[0] - h)))
        x = int(rng.integers(0, max(1, texture.shape[1] - w)))
        texture = texture[y : y + h, x : x + w]
    over = np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    ground = np.asarray(cv2.resize(behind.pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    if rng.random() < 0.5:
        shade = rng.uniform(-60, 60, 3) + rng.uniform(-30, 30)
        over = np.clip(over + shade, 0, 255).astype(np.uint8)
    made = ObjectCrop(over, mask, rim_of(mask), "made")
    return _blended(over, ground, made, rng)


def _blended(
    over: RGBImage, ground: RGBImage, item: ObjectCrop, rng: np.random.Generator
) -> ObjectCrop:
    alpha = cv2.GaussianBlur(item.mask.astype(np.float32), (0, 0), float(rng.uniform(0.4, 1.4)))
    weight = np.asarray(alpha, np.float32)[..., None]
    pixels = over * weight + ground * (1 - weight)
    return ObjectCrop(pixels.astype(np.uint8), item.mask, item.rim, "made", item.scale)


def _blob(rng: np.random.Generator) -> NDArray[np.bool_]:
    small = _SIDE // 2
    noise = rng.standard_normal((small, small)).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(noise, (0, 0), float(rng.uniform(4, 12))), np.float32)
    y, x = np.mgrid[:small, :small].astype(np.float32) / small - 0.5
    rx, ry = rng.uniform(0.12, 0.36, 2)
    pull = 1 - np.sqrt((x / rx) ** 2 + (y / ry) ** 2)
    field = smooth / (smooth.std() + 1e-6) * rng.uniform(0.1, 0.5) + np.clip(pull, -2, 1)
    big = cv2.resize(field.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_LINEAR)
    return _largest(np.asarray(big) > 0)


def _ellipse(rng: np.random.Generator) -> NDArray[np.bool_]:
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    axes = tuple(int(v) for v in rng.uniform(15, 60, 2))
    middle = (_SIDE // 2, _SIDE // 2)
    cv2.ellipse(canvas, middle, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    return canvas > 0


def _figure(rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a few touching rods and discs: shapes with limbs."""
    canvas = np.zeros((_SIDE, _SIDE), np.uint8)
    at = np.array([_SIDE / 2, _SIDE / 2])
    for _ in range(int(rng.integers(2, 6))):
        to = np.clip(at + rng.uniform(-55, 55, 2), 40, _SIDE - 40)
        ends = tuple(int(v) for v in at), tuple(int(v) for v in to)
        if rng.random() < 0.6:
            cv2.line(canvas, *ends, 1, int(rng.integers(5, 26)))
        else:
            third = np.clip(to + rng.uniform(-40, 40, 2), 30, _SIDE - 30)
            cv2.fillConvexPoly(canvas, np.array([at, to, third]).astype(np.int32), 1)
        if rng.random() < 0.5:
            cv2.circle(canvas, ends[1], int(rng.integers(6, 26)), 1, -1)
        at = to if rng.random() < 0.6 else at
    return _largest(canvas > 0)


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        return mask
    kept: NDArray[np.bool_] = np.asarray(labels) == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return kept
