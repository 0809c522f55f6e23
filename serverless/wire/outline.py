"""A mask redrawn by its own polygon, so that the editor's trace of it has few vertices.

CVAT's editor traces an interactor's mask itself and keeps every wiggle. What it gets is the
rasterised form of our polygon, on which the clicks hold as they did on the mask.
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

# Set to "raw" among a function's annotations, the mask leaves as the model gave it.
SETTING = "mask"
_WORK = 640  # pixels, of the side up to which a mask is traced as it is
_APART = 1.5  # pixels, how far the mask and its polygon may lie apart, at the image's own size
_LEAST_APART = 0.75  # pixels of the smaller picture: less than that its own steps are traced


def redrawn_mask(found: Candidate, request: InteractorRequest, size: tuple[int, int]) -> Mask:
    """Return the mask of the polygons of an answer's mask; size: (height, width) of the image."""
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
    """Return the polygons of a mask, of a large one those of a smaller picture of it."""
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
    """Return left, top, right, bottom of what holds both the mask and its polygons."""
    height, width = mask.bitmap.shape
    corners = [np.array([[mask.left, mask.top], [mask.left + width, mask.top + height]])]
    points: NDArray[np.float64] = np.concatenate([*corners, *(p.exterior for p in polygons)])
    left, top = np.maximum(np.floor(points.min(axis=0)), 0).astype(int).tolist()
    right, bottom = np.minimum(np.ceil(points.max(axis=0)), size[::-1]).astype(int).tolist()
    return left, top, right, bottom
