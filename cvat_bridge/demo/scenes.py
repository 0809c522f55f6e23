"""Images for a demo without data: coloured shapes on a grained ground, one class rare."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.detections import box_iou

LABELS = ("disc", "bar", "ring")
SHARES = (0.62, 0.28, 0.10)  # the ring is rare, so that choosing the frames can matter
SIZE = (96, 128)  # height, width in pixels
EMPTY = 0.33  # share of the stream's stills that show nothing
STILL = 4  # longest still, in frames

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]
Thing = tuple[int, Box]  # kind, place


def write_scenes(folder: Path, *, pool: int = 300, holdout: int = 60, seed: int = 5) -> Path:
    """Write pool + holdout images in COCO form (split "train" and "test"); return the folder.

    As in a camera's stream, much of the pool is worth little: a scene may stand still for some
    frames, and some frames show nothing. The held-out frames are all scenes of their own.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    frames = [*_stream(rng, pool), *(_scene(rng, _things(rng)) for _ in range(holdout))]
    for number, (picture, objects) in enumerate(frames):
        name = f"scene_{number:04d}.png"
        cv2.imwrite(str(folder / "images" / name), picture[..., ::-1])
        images.append(
            {
                "id": number + 1,
                "file_name": name,
                "height": SIZE[0],
                "width": SIZE[1],
                "split": "train" if number < pool else "test",
            }
        )
        for kind, (x1, y1, x2, y2) in objects:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number + 1,
                    "category_id": kind + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": (x2 - x1) * (y2 - y1),
                    "iscrowd": 0,
                    "segmentation": [],
                }
            )
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(LABELS)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def _stream(rng: np.random.Generator, count: int) -> Iterator[tuple[Image, list[Thing]]]:
    """Yield the frames of a stream: stills of one to four frames, a third of them of nothing."""
    left = count
    while left:
        things = [] if rng.random() < EMPTY else _things(rng)
        picture, objects = _scene(rng, things)
        for _ in range(min(left, int(rng.integers(1, STILL + 1)))):
            left -= 1
            grain = rng.normal(0, 2, picture.shape)
            yield np.clip(picture + grain, 0, 255).astype(np.uint8), objects


def _things(rng: np.random.Generator) -> list[Thing]:
    """Draw the kinds and places of the objects of one scene."""
    height, width = SIZE
    things: list[Thing] = []
    for _ in range(int(rng.integers(1, 7))):
        kind = int(rng.choice(len(LABELS), p=SHARES))
        half = rng.uniform(6, 13, 2) if kind == 1 else np.repeat(rng.uniform(6, 12), 2)
        centre = rng.uniform(half + 1, np.array([width, height]) - half - 1)
        box: Box = (*(centre - half), *(centre + half))
        if all(_overlap(box, other) <= 0.15 for _, other in things):
            things.append((kind, box))
    return things


def _scene(rng: np.random.Generator, things: list[Thing]) -> tuple[Image, list[Thing]]:
    height, width = SIZE
    ground = rng.uniform(60, 170, 3)
    shade = np.linspace(-25, 25, width)[None, :, None] * rng.uniform(-1, 1)
    grain = rng.normal(0, rng.uniform(6, 16), (height, width, 3))
    picture = np.ascontiguousarray(np.clip(ground + shade + grain, 0, 255).astype(np.uint8))
    for kind, box in things:
        _draw(picture, kind, box, rng)
    return picture, things


def _draw(picture: Image, kind: int, box: Box, rng: np.random.Generator) -> None:
    # Drawn four times larger and scaled down, so that edges are soft and boxes are exact.
    x1, y1, x2, y2 = (round(4 * value) for value in box)
    canvas = np.zeros((picture.shape[0] * 4, picture.shape[1] * 4), np.uint8)
    centre, axes = ((x1 + x2) // 2, (y1 + y2) // 2), ((x2 - x1) // 2, (y2 - y1) // 2)
    if kind == 1:
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), 255, -1)
    else:
        cv2.ellipse(canvas, centre, axes, 0, 0, 360, 255, -1)
    if kind == 2:
        cv2.ellipse(canvas, centre, (axes[0] // 2, axes[1] // 2), 0, 0, 360, 0, -1)
    cover = cv2.resize(canvas, picture.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None] / 255
    tint = np.array([[210, 90, 80], [70, 120, 200], [200, 190, 90]][kind]) + rng.normal(0, 22, 3)
    picture[:] = np.clip(picture * (1 - cover) + tint * cover, 0, 255).astype(np.uint8)


def _overlap(one: Box, two: Box) -> float:
    """Return how much of the smaller of two boxes lies in the other, 0..1."""
    return float(max(box_iou(a, b, crowd=[1])[0, 0] for a, b in ((one, two), (two, one))))
