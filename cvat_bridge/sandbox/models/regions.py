"""A region of interest: the crop a function sees, and its answer moved back."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from cvat_bridge.sandbox.models.detection import moved
from cvat_bridge.sandbox.web.errors import invalid


@dataclass(frozen=True)
class Region:
    """Left, top, right and bottom in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def parse(value: Any) -> Region:
    """Read [left, top, right, bottom]; ApiError 400 for what is not a region."""
    whole = isinstance(value, list) and len(value) == 4
    if not whole or not all(isinstance(n, int) and not isinstance(n, bool) for n in value):
        raise invalid("ROI must contain four integer coordinates: [xtl, ytl, xbr, ybr]")
    region = Region(*value)
    if min(value) < 0:
        raise invalid("ROI coordinates must be non-negative")
    if region.right <= region.left or region.bottom <= region.top:
        raise invalid("ROI size must be positive")
    return region


def crop(content: bytes, region: Region) -> tuple[bytes, tuple[int, int]]:
    """Return the region as an image file, and the size of the whole image."""
    with Image.open(io.BytesIO(content)) as image:
        if region.right > image.width or region.bottom > image.height:
            raise invalid("ROI is outside the image")
        out = io.BytesIO()
        box = (region.left, region.top, region.right, region.bottom)
        image.crop(box).save(out, image.format or "PNG")
        return out.getvalue(), image.size


def shifted(points: Any, region: Region | None) -> Any:
    """Return prompt points as the crop has them; those outside get negative coordinates."""
    if not points or region is None:
        return points
    return [[x - region.left, y - region.top] for x, y in points]


def restored(answer: Any, region: Region, size: tuple[int, int]) -> Any:
    """Return an interactor's answer in the whole image."""
    if not isinstance(answer, dict):
        return answer
    answer = dict(answer)
    if "mask" in answer:
        answer["mask"] = _padded(answer["mask"], region, size)
    if "shapes" in answer:
        answer["shapes"] = [moved(shape, region.left, region.top) for shape in answer["shapes"]]
    return answer


def _padded(mask: Sequence[Sequence[int]], region: Region, size: tuple[int, int]) -> list[Any]:
    width, height = size
    rows = [[0] * width for _ in range(height)]
    for y, row in enumerate(mask):
        for x, value in enumerate(row):
            if region.top + y < height and region.left + x < width:
                rows[region.top + y][region.left + x] = value
    return rows
