"""Training frames as pixels and class maps: read and resized once, augmented when sampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.backends.learning.frames import jitter_colour, missing_mask
from trainer.backends.semantic.settings import SemanticSettings
from trainer.data.annotations import AnnotatedImage
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage
from trainer.engines.letterbox import FILL, inner_size, letterbox
from trainer.evaluation.mean_iou import IGNORE_INDEX, class_map


@dataclass(frozen=True)
class SemanticFrame:
    """One frame at the network's size.

    pixels: (H, W, 3). classes: (H, W), 0 the background, then the classes in order; IGNORE_INDEX in
    crowd regions and outside the image.
    """

    pixels: RGBImage
    classes: NDArray[np.int16]


def read_frames(
    dataset: Dataset,
    images: tuple[AnnotatedImage, ...],
    size: tuple[int, int],
    on_done: Callable[[int], None],
) -> list[SemanticFrame]:
    """Read frames at the network's size (height, width); call on_done(n) after each.

    Where objects overlap, the smaller one wins. Raises DatasetError for an object without a mask,
    since a box is not an outline.
    """
    frames = []
    for image in images:
        if any(o.segmentation is None and not o.crowd for o in image.objects):
            raise missing_mask(dataset, image)
        pixels, _ = letterbox(dataset.read(image), size)
        inner = inner_size((image.height, image.width), size)
        classes = np.full(size, IGNORE_INDEX, np.int16)
        classes[: inner[0], : inner[1]] = cv2.resize(
            class_map(image), inner[::-1], interpolation=cv2.INTER_NEAREST
        )
        frames.append(SemanticFrame(pixels, classes))
        on_done(len(frames))
    return frames


def pixels_of(frames: list[SemanticFrame], classes: int) -> NDArray[np.int64]:
    """Return the number of pixels per class, background first, (1 + classes,)."""
    counts = np.zeros(1 + classes, np.int64)
    for frame in frames:
        counts += np.bincount(frame.classes[frame.classes >= 0], minlength=1 + classes)
    return counts


def augment(frame: SemanticFrame, how: SemanticSettings, rng: np.random.Generator) -> SemanticFrame:
    """Return an augmented copy of the frame, of the same size."""
    height, width = frame.pixels.shape[:2]
    zoom = float(np.exp(rng.uniform(-1, 1) * np.log(how.zoom)))
    scale, shift = zoom, rng.uniform(min(0, width - width * zoom), max(0, width - width * zoom))
    down = rng.uniform(min(0, height - height * zoom), max(0, height - height * zoom))
    if how.flip_horizontal and rng.random() < 0.5:
        scale, shift = -scale, width - shift
    # Pixel centres are at halves: x' = s (x + .5) + t - .5.
    matrix = np.array([[scale, 0, shift + (scale - 1) / 2], [0, zoom, down + (zoom - 1) / 2]])
    pixels = cv2.warpAffine(
        frame.pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(FILL,) * 3
    )
    classes = cv2.warpAffine(
        frame.classes, matrix, (width, height), flags=cv2.INTER_NEAREST, borderValue=IGNORE_INDEX
    )
    seen = jitter_colour(np.asarray(pixels, np.uint8), rng, how.colour)
    return SemanticFrame(seen, np.asarray(classes, np.int16))
