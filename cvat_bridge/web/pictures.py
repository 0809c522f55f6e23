"""Thumbnails: frames and cut-outs, made once and kept in the home, by content."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cvat_bridge.errors import BridgeError
from cvat_bridge.frames.originals import write_atomically
from cvat_bridge.web.sites import Site
from trainer.data.images import RGBImage, decode
from trainer.errors import ImageError

Box = tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the upright image
SIDES = (160, 320, 640, 1280)  # the longer side of a thumbnail, in pixels
_QUALITY = 82
_MARGIN = 0.6  # of a cut-out's side, around it
_TRUTH, _ANSWER = (46, 160, 67), (229, 83, 75)  # RGB; the page says which is which in words too


class UnreadableError(BridgeError):
    """An image that is not there or does not decode, in words for a caption."""


@dataclass(frozen=True)
class Cut:
    """What of a frame is shown. around: None for all of it. truth, answer: boxes drawn on it."""

    side: int
    around: Box | None = None
    truth: Box | None = None
    answer: Box | None = None


def thumbnail(site: Site, task_id: int, frame: int, cut: Cut) -> Path:
    """Return the file of a thumbnail (JPEG), made when it is asked for the first time.

    Raises UnreadableError, and GatewayError where CVAT has to be asked and does not answer.
    """
    parts = site.parts
    facts = parts.ledger.frames_of([f"{task_id}/{frame}"]).get(f"{task_id}/{frame}")
    if facts is not None and facts.problem:
        raise UnreadableError(facts.problem)
    name = facts.sha256 if facts is not None else f"task {task_id} frame {frame}"
    key = hashlib.sha256(f"{name} {cut}".encode()).hexdigest()
    path = parts.home.thumbnails / key[:2] / f"{key}.jpg"
    if path.is_file():
        return path
    kept = parts.home.images / facts.sha256[:2] / f"{facts.sha256}{facts.suffix}" if facts else None
    try:
        content = kept.read_bytes() if kept is not None and kept.is_file() else None
        pixels = decode(content if content is not None else _fetched(site, task_id, frame))
    except ImageError as error:
        raise UnreadableError(str(error)) from error
    write_atomically(path, drawn(pixels, cut))
    return path


def drawn(pixels: RGBImage, cut: Cut) -> bytes:
    """Cut, scale and draw; return a JPEG."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = _window(cut.around, width, height)
    part = pixels[top:bottom, left:right]
    scale = min(1.0 if cut.around is None else 4.0, cut.side / max(part.shape[:2]))
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.ascontiguousarray(cv2.resize(part, size, interpolation=way), np.uint8)
    for box, colour, dashed in ((cut.truth, _TRUTH, False), (cut.answer, _ANSWER, True)):
        if box is not None:
            corners = [(box[i] - (left, top)[i % 2]) * scale for i in range(4)]
            _outline(small, corners, colour, dashed=dashed)
    good, content = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not good:
        raise UnreadableError("the thumbnail cannot be written as JPEG")
    return content.tobytes()


def _window(around: Box | None, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the pixels to show: the box with a margin, at least 48 wide, inside the image."""
    if around is None:
        return 0, 0, width, height
    x1, y1, x2, y2 = around
    side = max(x2 - x1, y2 - y1, 16.0) * (1 + 2 * _MARGIN)
    half = max(side, 48.0) / 2
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, right = _within(x - half, x + half, width)
    top, bottom = _within(y - half, y + half, height)
    if right - left < 2 or bottom - top < 2:
        return 0, 0, width, height
    return left, top, right, bottom


def _within(low: float, high: float, most: int) -> tuple[int, int]:
    """Move a span into 0..most; one that is longer is all of it."""
    start = int(max(0.0, min(low, most - (high - low))))
    return start, min(most, int(start + high - low) + 1)


def _outline(
    image: RGBImage, corners: Sequence[float], colour: tuple[int, int, int], *, dashed: bool
) -> None:
    x1, y1, x2, y2 = (round(value) for value in corners)
    for shade, thick in (((0, 0, 0), 4), (colour, 2)):
        if not dashed:
            cv2.rectangle(image, (x1, y1), (x2, y2), shade, thick)
            continue
        for x in range(min(x1, x2), max(x1, x2), 10):
            for y in (y1, y2):
                cv2.line(image, (x, y), (min(x + 5, max(x1, x2)), y), shade, thick)
        for y in range(min(y1, y2), max(y1, y2), 10):
            for x in (x1, x2):
                cv2.line(image, (x, y), (x, min(y + 5, max(y1, y2))), shade, thick)


_FETCHING = threading.Lock()  # one chunk holds many frames: who waits finds it in the cache


def _fetched(site: Site, task_id: int, frame: int) -> bytes:
    """Fetch a frame with the bridge's account, of this project's tasks alone."""
    with _FETCHING:
        if site.parts.gateway.task(task_id).project_id != site.id:
            raise UnreadableError(f"project {site.id} has no task {task_id}")
        for number, content in site.parts.gateway.frames(task_id, [frame]):
            if number == frame:
                return content
    raise UnreadableError(f"CVAT gave no frame {frame} of task {task_id}")
