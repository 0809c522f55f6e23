"""Pictures of red discs and blue squares with a known truth, made in a moment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from trainer.data.annotations import AnnotatedImage, AnnotatedObject
from trainer.data.dataset import Dataset
from trainer.data.labels import LabelMap
from trainer.data.snapshot import write_dataset

LABELS = LabelMap(("disc", "square"))
COLOURS = {0: (200, 60, 50), 1: (50, 70, 200)}


def picture(
    rng: np.random.Generator,
    *,
    height: int = 96,
    width: int = 128,
    most: int = 5,
    masks: bool = False,
):
    """Return pixels (height, width, 3) and the objects on them, none overlapping.

    masks: whether discs have an outline too; squares always have.
    """
    pixels = np.clip(rng.normal(150, 18, (height, width, 3)), 0, 255).astype(np.uint8)
    objects: list[AnnotatedObject] = []
    for _ in range(int(rng.integers(0, most + 1))):
        side = int(rng.integers(14, 34))
        x, y = int(rng.integers(0, width - side)), int(rng.integers(0, height - side))
        if any(
            x < o.box[2] + 4
            and o.box[0] < x + side + 4
            and y < o.box[3] + 4
            and o.box[1] < y + side + 4
            for o in objects
        ):
            continue
        kind = int(rng.integers(2))
        if kind == 0:
            centre = (x + side // 2, y + side // 2)
            cv2.circle(pixels, centre, side // 2, COLOURS[0], -1)
        else:
            pixels[y : y + side, x : x + side] = COLOURS[1]
        x2, y2 = x + side, y + side
        polygon = [[float(v) for v in (x, y, x2, y, x2, y2, x, y2)]] if kind == 1 else None
        if kind == 0 and masks:
            polygon = [cv2.ellipse2Poly(centre, (side // 2,) * 2, 0, 0, 359, 20).ravel().tolist()]
        objects.append(AnnotatedObject(kind, (float(x), float(y), float(x2), float(y2)), polygon))
    return pixels, tuple(objects)


def shapes_dataset(
    folder: Path,
    *,
    train: int = 24,
    holdout: int = 12,
    seed: int = 0,
    labels: LabelMap = LABELS,
    masks: bool = False,
) -> Dataset:
    """Write a dataset of shapes into the folder: train and holdout frames, some of them empty.

    masks: whether all objects have one, or squares alone.
    """
    rng = np.random.default_rng(seed)
    originals = folder.with_name(folder.name + "-originals")
    originals.mkdir(parents=True)
    images, sources = [], {}
    for n in range(train + holdout):
        pixels, objects = picture(rng, masks=masks)
        name = f"{n:03}.png"
        sources[name] = originals / name
        cv2.imwrite(str(sources[name]), pixels[..., ::-1])
        split = "train" if n < train else "holdout"
        images.append(AnnotatedImage(name, pixels.shape[1], pixels.shape[0], split, None, objects))
    return write_dataset(folder, labels=labels, images=images, sources=sources)
