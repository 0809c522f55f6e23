"""What is learnt from: a few images of a set, or drawn ones so plain that few epochs do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import load_dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset


def some_of(data: Path, folder: Path, *, train: int) -> Path:
    """Write the first `train` images of the train part, and a third as many after them as val."""
    whole = load_dataset(data)
    images = whole.split("train")[: train + train // 3]
    parts = [
        replace(image, split="train" if place < train else "val")
        for place, image in enumerate(images)
    ]
    sources = {image.file_name: whole.file(image) for image in images}
    return write_dataset(folder, labels=whole.labels, images=parts, sources=sources).path


SIDE = 96  # pixels of a drawn image
SHAPES = {"disc": (200, 60, 40), "square": (40, 90, 210), "triangle": (60, 180, 70)}


def drawn(folder: Path, *, train: int) -> Path:
    """Write drawn images, `train` to learn from and a third as many as val; the same each time.

    Each shows two shapes of 28 to 44 pixels, one in each half, on noise; kind and colour agree.
    """
    rng = np.random.default_rng(7)
    source = folder / "drawn"
    source.mkdir(parents=True)
    images, files = [], {}
    for place in range(train + train // 3):
        name = f"{place:04d}.png"
        pixels = rng.integers(90, 160, (SIDE, SIDE, 3)).astype(np.uint8)
        objects = tuple(_draw(pixels, rng, left=left) for left in (0, SIDE // 2))
        files[name] = source / name
        cv2.imwrite(str(files[name]), pixels[..., ::-1])
        split = "train" if place < train else "val"
        images.append(AnnotatedImage(name, SIDE, SIDE, split, objects=objects))
    labels = LabelMap(tuple(SHAPES))
    return write_dataset(folder / "coco", labels=labels, images=images, sources=files).path


def _draw(pixels: NDArray[np.uint8], rng: np.random.Generator, *, left: int) -> AnnotatedObject:
    kind, size = int(rng.integers(len(SHAPES))), int(rng.integers(28, 45))
    x = left + int(rng.integers(0, SIDE // 2 - size + 1))
    y = int(rng.integers(0, SIDE - size + 1))
    name, colour = list(SHAPES.items())[kind]
    shade = tuple(int(v) for v in np.clip(np.array(colour) + rng.integers(-25, 26, 3), 0, 255))
    if name == "disc":
        cv2.circle(pixels, (x + size // 2, y + size // 2), size // 2, shade, -1)
    elif name == "square":
        cv2.rectangle(pixels, (x, y), (x + size - 1, y + size - 1), shade, -1)
    else:
        corners = np.array([[x, y + size - 1], [x + size - 1, y + size - 1], [x + size // 2, y]])
        cv2.fillPoly(pixels, [corners.astype(np.int32)], shade)
    return AnnotatedObject(kind, (float(x), float(y), float(x + size), float(y + size)))
