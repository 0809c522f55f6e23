"""Small pictures for the report: a frame with boxes on it, as a JPEG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cvat_bridge.demo.ground_truth import TrueObject
from trainer.data.images import RGBImage, decode

WIDTH = 300  # pixels of a pane
TALLEST = 300
QUALITY = 85
COLOURS = ("#e11d48", "#2563eb", "#16a34a", "#d97706", "#9333ea", "#0891b2", "#db2777", "#65a30d")


@dataclass(frozen=True)
class Pane:
    """A frame with what was marked in it. title: over the picture."""

    title: str
    jpeg: bytes


@dataclass(frozen=True)
class Example:
    """A frame in panes side by side, or in one, with a line below."""

    panes: tuple[Pane, ...]
    caption: str


def colours_of(labels: Sequence[str]) -> dict[str, str]:
    """Return a colour (#rrggbb) for each label; after the last colour they begin anew."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(labels)}


def pane(
    title: str, content: bytes, objects: Sequence[TrueObject], colours: Mapping[str, str]
) -> Pane:
    """Draw objects on a frame, scaled to WIDTH. Raises ImageError when it cannot be read."""
    pixels = decode(content)
    scale = min(WIDTH / pixels.shape[1], TALLEST / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    drawn: RGBImage = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=way), np.uint8)
    for found in objects:
        x1, y1, x2, y2 = (round(value * scale) for value in found.box)
        colour = colours.get(found.label, "#000000")
        rgb = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
        # A light rim, since objects may have the colour of their box.
        cv2.rectangle(drawn, (x1, y1), (x2, y2), (255, 255, 255), 4)
        cv2.rectangle(drawn, (x1, y1), (x2, y2), rgb, 2)
    encoded = cv2.imencode(".jpg", drawn[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return Pane(title, encoded.tobytes())
