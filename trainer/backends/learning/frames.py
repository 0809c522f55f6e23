"""Training frames with masks: decoded and resized once, cached as bytes, augmented when drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage
from trainer.detections import Mask, clip_mask
from trainer.engines.letterbox import letterbox
from trainer.errors import DatasetError

_LEAST_SIDE = 1.0  # pixels of the input


@dataclass(frozen=True)
class TrainingFrame:
    """One frame at the network's input size.

    pixels: (H, W, 3). boxes: (M, 4) in its pixels. class_ids: (M,). masks: M, each cropped to its
    extent, or empty for a network that predicts boxes.
    """

    pixels: RGBImage
    boxes: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    masks: tuple[Mask, ...] = ()

    def drawn(self) -> NDArray[np.bool_]:
        """Return the full-frame masks, (M, H, W)."""
        height, width = self.pixels.shape[:2]
        found = [mask.on((height, width)) for mask in self.masks]
        return np.array(found, np.bool_).reshape(-1, height, width)


def read_frames(
    dataset: Dataset,
    images: tuple[AnnotatedImage, ...],
    size: tuple[int, int],
    on_done: Callable[[int], None],
    *,
    masks: bool,
) -> list[TrainingFrame]:
    """Read frames at the network's size (height, width); call on_done(n) after each.

    Crowd regions and objects that vanish at this size are skipped. masks: whether masks are
    trained; then an object without one raises DatasetError, since a box is not an outline.
    """
    frames = []
    for image in images:
        pixels, scale = letterbox(dataset.read(image), size)
        objects = [o for o in image.objects if not o.crowd]
        boxes = np.array([o.box for o in objects], np.float32).reshape(-1, 4) * np.float32(scale)
        large = (boxes[:, 2:] - boxes[:, :2] >= _LEAST_SIDE).all(axis=1)
        keep: list[int] = np.flatnonzero(large).tolist()
        drawn: dict[int, Mask] = {}
        if masks:
            for n in keep:
                if objects[n].segmentation is None:
                    raise missing_mask(dataset, image)
                mask = _scaled(objects[n].bitmap(image.height, image.width), scale, size)
                if mask is not None:
                    drawn[n] = mask
            keep = list(drawn)
        class_ids = np.array([objects[n].class_id for n in keep], np.int64)
        frames.append(TrainingFrame(pixels, boxes[keep], class_ids, tuple(drawn.values())))
        on_done(len(frames))
    return frames


def augment(
    frame: TrainingFrame, rng: np.random.Generator, *, mirrored: bool, colour: float
) -> TrainingFrame:
    """Return an augmented copy. mirrored: allow flips. colour: 0..1, strength of colour jitter."""
    pixels, boxes, masks = frame.pixels, frame.boxes, frame.masks
    width = pixels.shape[1]
    if mirrored and rng.random() < 0.5:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], 1)
        masks = tuple(
            Mask(m.bitmap[:, ::-1], width - m.left - m.bitmap.shape[1], m.top) for m in masks
        )
    return TrainingFrame(jitter_colour(pixels, rng, colour), boxes, frame.class_ids, masks)


def jitter_colour(pixels: RGBImage, rng: np.random.Generator, strength: float) -> RGBImage:
    """Return a copy with random contrast, tint and brightness. strength: 0..1, 0 for none."""
    if not strength:
        return pixels
    gain = np.exp(rng.uniform(-strength, strength) + rng.uniform(-0.3, 0.3, 3) * strength)
    shift = rng.uniform(-strength, strength) * 60
    return np.asarray(np.clip((pixels - 118.0) * gain + 118 + shift, 0, 255), np.uint8)


def missing_mask(dataset: Dataset, image: AnnotatedImage) -> DatasetError:
    """Return the error for an object without a mask when masks are trained."""
    return DatasetError(
        dataset.path,
        f"image {image.file_name}",
        "an object has no mask: draw it, or train boxes with another backend",
    )


def _scaled(bitmap: NDArray[np.bool_], scale: float, size: tuple[int, int]) -> Mask | None:
    """Return the bitmap at the network's size, cropped to its extent; None when it vanishes."""
    height, width = (max(1, round(side * scale)) for side in bitmap.shape)
    small = cv2.resize(bitmap.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    return clip_mask(Mask(small > 0, 0, 0), size)
