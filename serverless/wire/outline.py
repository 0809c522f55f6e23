"""Redraw a mask from its simplified polygon, so that the editor's outline has few vertices.

CVAT's editor traces an interactor's mask itself and keeps every irregularity. It receives the
rasterised form of our polygon, on which the clicks are enforced as on the mask.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from serverless.polygon.polygons import Polygon, polygons_from_mask, rasterize
from serverless.wire.requests import InteractorRequest
from trainer.detections import Mask, clip_mask
from trainer.engines.interactor.click_constraints import enforce_clicks
from trainer.engines.interactor.clicks import Prompt, parse_clicks
from trainer.engines.interactor.extreme_points import check_clicks
from trainer.interactor import Candidate

# Set to "raw" in a function's annotations, the model's mask is sent unchanged.
SETTING = "mask"
_WORK = 640  # pixels: larger masks are traced at reduced size
_APART = 1.5  # pixels: maximum distance of mask and polygon, at the image's size
_LEAST_APART = 0.75  # pixels of the reduced image: below it the polygon follows single pixels


def redrawn_mask(found: Candidate, request: InteractorRequest, size: tuple[int, int]) -> Mask:
    """Return a candidate's mask redrawn from its polygons; size: (height, width) of the image."""
    inside = clip_mask(found.mask, size)
    if inside is None:
        return found.mask
    prompt = found.prompt or parse_clicks(
        *check_clicks(request.positive, request.negative, request.box, size)
    )
    polygons = _polygons(inside, size)
    left, top, right, bottom = _window(polygons, inside, size)
    shift = np.array([left, top], np.float64)
    drawn = rasterize(
        [Polygon(p.exterior - shift, tuple(h - shift for h in p.holes)) for p in polygons],
        (bottom - top, right - left),
    )
    box = None if prompt.box is None else prompt.box - np.tile(shift, 2)
    moved = Prompt(prompt.extremes - shift, prompt.inside - shift, prompt.outside - shift, box)
    return Mask(enforce_clicks(drawn, moved, parts=False), left, top)


def _polygons(mask: Mask, size: tuple[int, int]) -> tuple[Polygon, ...]:
    """Return the polygons of a mask, for a large one those of a reduced copy."""
    height, width = mask.bitmap.shape
    factor = min(1.0, _WORK / max(height, width))
    if factor == 1:
        return polygons_from_mask(
            mask.bitmap, left=mask.left, top=mask.top, size=size, tolerance_px=_APART
        )
    small = max(1, round(width * factor)), max(1, round(height * factor))
    shrunk = cv2.resize(mask.bitmap.astype(np.uint8) * 255, small, interpolation=cv2.INTER_AREA)
    grow = np.array([width / small[0], height / small[1]])
    place = np.array([mask.left, mask.top], np.float64)
    return tuple(
        Polygon(p.exterior * grow + place, tuple(hole * grow + place for hole in p.holes))
        for p in polygons_from_mask(
            np.asarray(shrunk) > 127, tolerance_px=max(_LEAST_APART, _APART * factor)
        )
    )


def _window(
    polygons: tuple[Polygon, ...], mask: Mask, size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the union of the mask and its polygons."""
    height, width = mask.bitmap.shape
    corners = [np.array([[mask.left, mask.top], [mask.left + width, mask.top + height]])]
    points: NDArray[np.float64] = np.concatenate([*corners, *(p.exterior for p in polygons)])
    left, top = np.maximum(np.floor(points.min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(points.max(axis=0)), size[::-1]).astype(int).tolist()
    return left, top, right, bottom
