"""Training frames: decoded and resized once, kept in memory as bytes, augmented when sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.centernet.settings import Augmentation
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage
from trainer.engines.letterbox import FILL, letterbox

_LEAST_VISIBLE = 0.35  # share of a box that must remain after a crop for it to be trained
_LEAST_SIDE = 2.0  # pixels of the input
_AROUND_AN_OBJECT = 0.75  # of the crops of large frames; the others are placed at random


@dataclass(frozen=True)
class CenterNetFrame:
    """One frame at the network's size: pixels (H, W, 3), boxes (M, 4) in its pixels, classes."""

    pixels: RGBImage
    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]


def read_frames(
    dataset: Dataset,
    images: tuple[AnnotatedImage, ...],
    size: tuple[int, int],
    on_done: Callable[[int], None],
) -> list[CenterNetFrame]:
    """Read frames at the network's size; call on_done(n) after each. Crowds are skipped."""
    frames = []
    for image in images:
        pixels, scale = letterbox(dataset.read(image), size)
        objects = [o for o in image.objects if not o.crowd]
        boxes = np.array([o.box for o in objects], np.float32).reshape(-1, 4) * np.float32(scale)
        frames.append(
            CenterNetFrame(pixels, boxes, np.array([o.class_id for o in objects], np.int64))
        )
        on_done(len(frames))
    return frames


def augment(
    frame: CenterNetFrame, how: Augmentation, rng: np.random.Generator, size: tuple[int, int]
) -> CenterNetFrame:
    """Return an augmented copy of the frame, of (height, width) = size.

    A larger frame is cropped to that size, mostly around one of its objects.
    """
    full_height, full_width = frame.pixels.shape[:2]
    height, width = size
    zoom = np.exp(rng.uniform(-1, 1) * np.log(how.zoom))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log(how.stretch))
    sx, sy = zoom * stretch, zoom / stretch
    tx, ty = (
        rng.uniform(min(0, most - whole * by), max(0, most - whole * by))
        for most, whole, by in ((width, full_width, sx), (height, full_height, sy))
    )
    larger = full_height > height or full_width > width
    if larger and len(frame.boxes) and rng.random() < _AROUND_AN_OBJECT:
        box = frame.boxes[rng.integers(len(frame.boxes))]
        tx, ty = (
            _near(most, whole * by, (box[axis] + box[axis + 2]) / 2 * by, rng)
            for axis, (most, whole, by) in enumerate(
                ((width, full_width, sx), (height, full_height, sy))
            )
        )
    if how.flip_horizontal and rng.random() < 0.5:
        sx, tx = -sx, width - tx
    if how.flip_vertical and rng.random() < 0.5:
        sy, ty = -sy, height - ty
    # Pixel centres are at halves: x' = s (x + .5) + t - .5.
    matrix = np.array([[sx, 0, tx + (sx - 1) / 2], [0, sy, ty + (sy - 1) / 2]])
    pixels = cv2.warpAffine(
        frame.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(FILL,) * 3
    )
    corners = frame.boxes.reshape(-1, 2, 2) * np.array([sx, sy]) + np.array([tx, ty])
    whole = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    boxes = np.clip(whole, 0, [width, height, width, height])
    sides = boxes[:, 2:] - boxes[:, :2]
    visible = sides.prod(axis=1) >= _LEAST_VISIBLE * (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    keep = visible & (sides.min(axis=1, initial=np.inf) >= _LEAST_SIDE)
    return CenterNetFrame(
        _tint(np.asarray(pixels, np.uint8), how.colour, rng),
        boxes[keep].astype(np.float32),
        frame.class_ids[keep],
    )


def _near(most: float, whole: float, centre: float, rng: np.random.Generator) -> float:
    """Return a random shift that brings `centre` into 0..most with the least possible margin."""
    shift = rng.uniform(0.15, 0.85) * most - centre
    return float(np.clip(shift, min(0.0, most - whole), max(0.0, most - whole)))


def _tint(pixels: RGBImage, strength: float, rng: np.random.Generator) -> RGBImage:
    if not strength:
        return pixels
    gain = np.exp(rng.uniform(-strength, strength) + rng.uniform(-0.3, 0.3, 3) * strength)
    shift = rng.uniform(-strength, strength) * 60
    table = np.arange(256, dtype=np.float64)[:, None]
    table = np.clip((table - 118) * gain + 118 + shift, 0, 255).astype(np.uint8)
    return np.stack([table[:, n][pixels[..., n]] for n in range(3)], axis=-1)


def collate(
    frames: list[CenterNetFrame],
) -> tuple[RGBImage, NDArray[np.float32], NDArray[np.int64]]:
    """Stack frames: pixels (B, H, W, 3), boxes (B, M, 4) padded with zeros, class ids (B, M)."""
    most = max([len(f.boxes) for f in frames] + [1])
    boxes = np.zeros((len(frames), most, 4), np.float32)
    class_ids = np.zeros((len(frames), most), np.int64)
    for n, frame in enumerate(frames):
        boxes[n, : len(frame.boxes)] = frame.boxes
        class_ids[n, : len(frame.boxes)] = frame.class_ids
    return np.stack([f.pixels for f in frames]), boxes, class_ids
