"""Draw sample predictions: a sheet of frames with labels and detections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from trainer.bundles.bundle import Card
from trainer.data.dataset import Dataset
from trainer.data.images import RGBImage
from trainer.data.labels import LabelMap
from trainer.detections import Detections
from trainer.detector import Detector

_SIDE = 320  # pixels of a tile
_COLUMNS = 3
_TRUE = (255, 255, 255)
_COLOURS = ((230, 80, 60), (60, 140, 250), (60, 190, 90), (240, 180, 40), (180, 90, 220))


def write_samples(
    detector: Detector,
    dataset: Dataset,
    path: Path,
    *,
    split: str,
    predictions: Sequence[Detections] | None = None,
    most: int = 6,
    min_score: float = Card.min_score,
) -> Path:
    """Write a PNG of up to `most` frames of a split: labels thin and white, detections in colour.

    The frames are spread evenly over the split, always the same ones. predictions: one for each
    frame of the split, if known; else the detector runs on the drawn frames in one batch. Returns
    the path. Raises DatasetError for an image that cannot be read.
    """
    images = dataset.split(split)
    rows = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    shown = [images[row] for row in rows]
    pictures = [dataset.read(image) for image in shown]
    if predictions is None:
        found = detector.detect(pictures, min_score=min_score)
    else:
        found = [predictions[row] for row in rows]
    tiles = []
    for image, pixels, detections in zip(shown, pictures, found, strict=True):
        truth = np.array([o.box for o in image.objects if not o.crowd]).reshape(-1, 4)
        tiles.append(_tile(pixels, truth, detections, detector.labels, min_score))
    sheet = np.full((-(-len(tiles) // _COLUMNS) * _SIDE, _COLUMNS * _SIDE, 3), 32, np.uint8)
    for place, tile in enumerate(tiles):
        y, x = place // _COLUMNS * _SIDE, place % _COLUMNS * _SIDE
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", sheet[..., ::-1])[1].tobytes())
    return path


def _tile(
    pixels: RGBImage, truth: np.ndarray, found: Detections, labels: LabelMap, min_score: float
) -> RGBImage:
    scale = (_SIDE - 4) / max(pixels.shape[:2])
    tile = np.ascontiguousarray(cv2.resize(pixels, None, fx=scale, fy=scale), np.uint8)
    for x1, y1, x2, y2 in (truth * scale).round().astype(int):
        cv2.rectangle(tile, (x1, y1), (x2, y2), _TRUE, 1)
    boxes = (found.boxes * scale).round().astype(int)
    for (x1, y1, x2, y2), kind, score in zip(boxes, found.class_ids, found.scores, strict=True):
        if score < min_score:
            continue
        colour = _COLOURS[int(kind) % len(_COLOURS)]
        cv2.rectangle(tile, (x1, y1), (x2, y2), colour, 2)
        text = f"{labels.names[int(kind)]} {score:.2f}"
        cv2.putText(tile, text, (x1, max(10, y1 - 3)), cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1)
    return tile
