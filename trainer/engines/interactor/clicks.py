"""Parse an annotator's clicks, and encode them as network inputs.

Coordinates are CVAT's: pixel (row r, column c) is the square from (c, r) to (c + 1, r + 1). Clicks
have no role and come in any order. From four on (without a box) the leftmost, topmost, rightmost
and bottommost of the positive ones are extreme points, as in DEXTR (Maninis et al., Deep Extreme
Cut, CVPR 2018); the others lie inside. So a click beyond the box of the first four enlarges it.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.data.images import RGBImage
from trainer.interactor import Box as Box  # noqa: PLC0414 part of this module
from trainer.interactor import Points as Points  # noqa: PLC0414
from trainer.interactor import Prompt as Prompt  # noqa: PLC0414

CHANNELS = 10
EXTREME = 4  # from this many positive clicks on, the outermost are extreme points

_MARGIN = 0.16  # of a side, around the points, on each side
_MARGIN_LONG = 0.05  # of the longer side, in addition
_LEAST_ASPECT = 0.3  # minimum aspect of a region: thin crops show no context
_LEAST_SIDE = 2.0  # pixels: points closer to one line than this enclose nothing
_SIGMA = 0.022  # of the network's input: width of the Gaussian of a click
_BINS = 8  # bins per colour channel of the colour model
_COLOUR_LIMIT = 4.0  # clipping of the log ratio of two colour models
# Smoothing of the histogram: a quarter to each neighbouring bin; edge bins keep theirs.
_SMOOTH = (0.5 * np.eye(_BINS) + 0.25 * np.eye(_BINS, k=1) + 0.25 * np.eye(_BINS, k=-1)).astype(
    np.float32
)
_SMOOTH[0, 0] = _SMOOTH[-1, -1] = 0.75
_PATH = np.einsum_path(
    "abc,ia,jb,kc->ijk", np.zeros((_BINS,) * 3), _SMOOTH, _SMOOTH, _SMOOTH, optimize="optimal"
)[0]


def parse_clicks(positive: Points, negative: Points, box: Box | None) -> Prompt:
    """Assign the clicks their roles; see the module.

    Duplicate clicks count once, but four clicks of which some coincide are still four extreme
    points: the leftmost may also be the topmost.
    """
    clicks = np.unique(positive, axis=0) if len(positive) else positive.reshape(0, 2)
    none = np.zeros((0, 2))
    if len(positive) >= EXTREME and box is None and (np.ptp(clicks, axis=0) >= _LEAST_SIDE).all():
        order = [
            int(clicks[:, 0].argmin()),
            int(clicks[:, 1].argmin()),
            int(clicks[:, 0].argmax()),
            int(clicks[:, 1].argmax()),
        ]
        inner = np.delete(clicks, sorted(set(order)), axis=0)
        return Prompt(clicks[order], inner, negative, _bounds(clicks))
    if box is not None:
        grown = np.concatenate([box.reshape(2, 2), clicks]) if len(clicks) else box.reshape(2, 2)
        return Prompt(none, clicks, negative, _bounds(grown))
    return Prompt(none, clicks, negative, None)


def region_of(prompt: Prompt, size: tuple[int, int], *, room: float = 1.0) -> Box:
    """Return the region to crop, x1 y1 x2 y2, which may extend beyond the image of (height, width).

    room: factor on the margin around the points.
    """
    box = prompt.box
    if box is None:
        box = _guess_box(prompt.inside, size)
    sides = np.maximum(box[2:] - box[:2], 2.0)
    sides = np.maximum(sides, _LEAST_ASPECT * sides.max())
    reach = sides / 2 + room * (_MARGIN * sides + _MARGIN_LONG * sides.max()) + 1.0
    centre = (box[:2] + box[2:]) / 2
    return np.concatenate([centre - reach, centre + reach])


def channels(crop: RGBImage, prompt: Prompt) -> NDArray[np.float32]:
    """Return the network's input, (CHANNELS, H, W) float32.

    crop: (H, W, 3). prompt: in its coordinates. The channels: red, green, blue; extreme points,
    positive and negative clicks as Gaussians; distance inside the box, inside the quadrilateral of
    the extreme points and inside the ellipse in the box (0 if there is none); log ratio of two
    colour models, of the inside and the outside.
    """
    height, width = crop.shape[:2]
    out = np.zeros((CHANNELS, height, width), np.float32)
    out[:3] = (crop.transpose(2, 0, 1).astype(np.float32) - 115.0) / 64.0
    x = np.arange(width, dtype=np.float32) + 0.5
    y = np.arange(height, dtype=np.float32)[:, None] + 0.5
    spread = float(2 * (_SIGMA * np.sqrt(height * width)) ** 2)
    for place, clicks in enumerate((prompt.extremes, prompt.inside, prompt.outside), start=3):
        for cx, cy in clicks.tolist():
            gx, gy = np.exp((x - cx) ** 2 / -spread), np.exp((y - cy) ** 2 / -spread)
            np.maximum(out[place], gx * gy, out=out[place])
    likely, unlikely = _priors(out, prompt, x, y)
    out[9] = colour_ratio(crop, likely, unlikely)
    return out


def colour_ratio(
    crop: RGBImage, likely: NDArray[np.float32], unlikely: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return log P(colour | object) / P(colour | background) of each pixel, scaled to -1..1.

    Two smoothed histograms, a cheaper form of GrabCut's colour models (Rother et al., 2004), with
    one iteration that removes pixels of background colour from the object's model. likely,
    unlikely: (H, W) weights of each pixel for object and background.
    """
    # Stretch the contrast: dark and flat crops would fall into few bins.
    low, high = np.percentile(crop[::4, ::4], (1, 99))
    table = np.clip((np.arange(256) - low) * (_BINS / max(high - low, 8.0)), 0, _BINS - 1)
    levels = table.astype(np.int32)[crop]
    bins = ((levels[..., 0] * _BINS + levels[..., 1]) * _BINS + levels[..., 2]).ravel()
    back = _histogram(bins, unlikely)
    weights = likely
    ratio = np.zeros(_BINS**3, np.float32)
    for _ in range(2):
        ratio = np.log((_histogram(bins, weights) + 2e-4) / (back + 2e-4)).astype(np.float32)
        weights = likely * (1 / (1 + np.exp(-2 * ratio)))[bins].reshape(likely.shape)
    clipped = np.clip(ratio, -_COLOUR_LIMIT, _COLOUR_LIMIT) / _COLOUR_LIMIT
    found: NDArray[np.float32] = clipped[bins].reshape(likely.shape).astype(np.float32)
    return found


def _priors(
    out: NDArray[np.float32], prompt: Prompt, x: NDArray[np.float32], y: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fill channels 6 to 8; return each pixel's prior of object and background."""
    clicked = np.maximum(out[3] * 0.3, out[4])
    if prompt.box is None:
        return clicked + np.float32(1e-3), out[5] + np.float32(0.05) * (clicked < 0.1)
    cx, cy = (float(v) for v in (prompt.box[:2] + prompt.box[2:]) / 2)
    rx, ry = (max(float(v), 1.0) for v in (prompt.box[2:] - prompt.box[:2]) / 2)
    dx, dy = np.abs(x - cx) / rx, np.abs(y - cy) / ry
    out[6] = np.clip(1 - np.maximum(dx, dy), -1, 1)
    out[8] = np.clip(1 - np.sqrt(dx * dx + dy * dy), -1, 1)
    out[7] = out[8]
    if len(prompt.extremes):
        inner = np.full(out[7].shape, np.inf, np.float32)
        corners = prompt.extremes.tolist()
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            if length := math.hypot(bx - ax, by - ay):
                dx, dy = (bx - ax) / length, (by - ay) / length
                np.minimum(inner, dx * (y - ay) - dy * (x - ax), out=inner)
        out[7] = np.clip(inner / min(rx, ry), -1, 1)
    likely = np.clip(0.5 * (out[7] + out[8]), 0, 1) + clicked + np.float32(1e-4)
    unlikely = (out[6] < 0).astype(np.float32) + 4 * out[5] + np.float32(1e-4)
    return likely * (out[6] > -0.02), unlikely


def _histogram(bins: NDArray[np.int32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    counts = np.bincount(bins, weights.ravel(), minlength=_BINS**3).reshape((_BINS,) * 3)
    counts = (counts / max(float(counts.sum()), 1e-9)).astype(np.float32)
    smooth: NDArray[np.float32] = np.einsum(
        "abc,ia,jb,kc->ijk", counts, _SMOOTH, _SMOOTH, _SMOOTH, optimize=_PATH
    )
    return np.asarray(smooth.ravel(), np.float32)


def crop_of(image: RGBImage, region: Box, size: tuple[int, int]) -> RGBImage:
    """Return the region resized to (height, width); outside the image its border is repeated."""
    height, width = image.shape[:2]
    x1, y1 = (int(np.floor(v)) for v in region[:2])
    x2, y2 = (int(np.ceil(v)) for v in region[2:])
    left, top = max(0, min(x1, width - 1)), max(0, min(y1, height - 1))
    part = image[top : max(top + 1, min(y2, height)), left : max(left + 1, min(x2, width))]
    scale = np.array([size[1], size[0]]) / (region[2:] - region[:2])
    # Average first when downscaling: a plain warp would skip pixels.
    shrink = [min(1.0, 2 * float(s)) for s in scale]
    if min(shrink) < 1:
        wide = max(1, round(part.shape[1] * shrink[0])), max(1, round(part.shape[0] * shrink[1]))
        step = np.array([part.shape[1] / wide[0], part.shape[0] / wide[1]])
        small = cv2.resize(thinned(part, wide), wide, interpolation=cv2.INTER_AREA)
        part = np.asarray(small, np.uint8)
    else:
        step = np.ones(2)
    factor = scale * step
    shift = (np.array([left, top]) - region[:2]) * scale
    matrix = np.array(
        [
            [factor[0], 0, shift[0] + (factor[0] - 1) / 2],
            [0, factor[1], shift[1] + (factor[1] - 1) / 2],
        ]
    )
    warped = cv2.warpAffine(
        part,
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, np.uint8)


def thinned(pixels: RGBImage, size: tuple[int, int]) -> RGBImage:
    """Subsample an image that will be downscaled to (width, height).

    Takes every n-th pixel and keeps at least two per new pixel and axis: enough to average, and
    memory access dominates the time for large images.
    """
    step = max(1, min(pixels.shape[1] // size[0], pixels.shape[0] // size[1]) // 2)
    return pixels[::step, ::step]


def _guess_box(clicks: Points, size: tuple[int, int]) -> Box:
    """Return a box for clicks without a known extent: around them, a third of the image."""
    height, width = size
    centre = _bounds(clicks) if len(clicks) else np.array([0.0, 0.0, width, height])
    reach = np.maximum((centre[2:] - centre[:2]) * 0.75, min(height, width) / 6)
    middle = (centre[:2] + centre[2:]) / 2
    return np.concatenate([middle - reach, middle + reach])


def _bounds(points: Points) -> Box:
    return np.concatenate([points.min(axis=0), points.max(axis=0)])
