"""Pictures of ellipses whose boxes and true masks are known."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from trainer.detections import Mask

Box = tuple[float, float, float, float]
PLACES = (((40, 40), (26, 16)), ((110, 50), (18, 30)), ((60, 105), (34, 18)))  # centre, radii


@dataclass(frozen=True)
class Drawn:
    """content: the PNG. boxes and truth: of each ellipse, its box and its mask (H, W)."""

    pixels: np.ndarray
    content: bytes
    boxes: tuple[Box, ...]
    truth: tuple[np.ndarray, ...]


def ellipses(seed: int = 0, *, height: int = 140, width: int = 150) -> Drawn:
    """Draw three ellipses of one colour on a noisy ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 130, (height, width, 3), dtype=np.uint8)
    boxes, truth = [], []
    for centre, radii in PLACES:
        mask = np.zeros((height, width), np.uint8)
        cv2.ellipse(mask, centre, radii, 0, 0, 360, 1, -1)
        pixels[mask > 0] = (210, 60, 40)
        ys, xs = np.nonzero(mask)
        boxes.append((float(xs.min()), float(ys.min()), float(xs.max() + 1), float(ys.max() + 1)))
        truth.append(mask > 0)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return Drawn(pixels, content.getvalue(), tuple(boxes), tuple(truth))


def on_frame(mask: Mask, shape: tuple[int, int]) -> np.ndarray:
    """Put a mask on its frame."""
    frame = np.zeros(shape, bool)
    rows, columns = mask.bitmap.shape
    frame[mask.top : mask.top + rows, mask.left : mask.left + columns] = mask.bitmap
    return frame


def filled(box: Box, shape: tuple[int, int]) -> np.ndarray:
    """Return a box, filled, on its frame."""
    frame = np.zeros(shape, bool)
    x1, y1, x2, y2 = (round(v) for v in box)
    frame[y1:y2, x1:x2] = True
    return frame


def fill_of(frame: np.ndarray) -> float:
    """Return the share of the box around a mask that it fills."""
    ys, xs = np.nonzero(frame)
    return float(frame.sum() / ((np.ptp(ys) + 1) * (np.ptp(xs) + 1)))


class Filling:
    """A BoxSegmenter that gives every box back: filled, or empty."""

    def __init__(self, *, empty: bool = False) -> None:
        self.empty = empty

    def segment_boxes(self, _pixels: np.ndarray, boxes: np.ndarray) -> list[Mask]:
        found = []
        for x1, y1, x2, y2 in np.round(boxes).astype(int).tolist():
            size = (0, 0) if self.empty else (y2 - y1, x2 - x1)
            found.append(Mask(np.ones(size, bool), x1, y1))
        return found
