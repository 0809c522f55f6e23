"""Enforce the meaning of the clicks on a mask, whatever the model predicts.

Positive clicks are inside, negative ones outside, and the object does not extend beyond its extreme
points, so that each of them is on its border.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from trainer.engines.interactor.clicks import Points, Prompt

_PART = 0.04  # of the largest part: smaller ones without a click are noise
_CUT = 0.02  # of the object's mean side: radius removed around a negative click
_NEAR = 0.15  # of the object's longer side: how far away a click is still connected to the mask

Bitmap = NDArray[np.bool_]


def enforce_clicks(mask: Bitmap, prompt: Prompt, *, parts: bool = True) -> Bitmap:
    """Return the mask (H, W) with minimal changes to satisfy the clicks, in its pixels.

    parts: whether to remove small parts without a click, the most expensive step.
    """
    kept = mask.copy()
    _keep_within(kept, prompt)
    inside = pixels_of(np.concatenate([prompt.extremes, prompt.inside]), mask.shape)
    outside = pixels_of(prompt.outside, mask.shape)
    for x, y in outside:
        _disc(kept, x, y, _radius(prompt, mask.shape), value=False)
    if parts:
        kept = _without_noise(kept, inside)
    for x, y in inside:
        _connect(kept, x, y, _reach(prompt, mask.shape))
    _keep_within(kept, prompt)
    for x, y in outside:
        kept[y, x] = False
    for x, y in inside:
        kept[y, x] = True
    return kept


def pixels_of(points: Points, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the pixels that contain the points, (N, 2) x y; the nearest for points outside."""
    found = np.floor(points.reshape(-1, 2)).astype(np.int64)
    return np.clip(found, 0, [shape[1] - 1, shape[0] - 1])


def _keep_within(mask: Bitmap, prompt: Prompt) -> None:
    """Clear what lies beyond the extreme points; a box, which is less precise, gets a margin."""
    if prompt.box is None:
        return
    height, width = mask.shape
    play = (
        0.0 if len(prompt.extremes) else 1 + 0.03 * float((prompt.box[2:] - prompt.box[:2]).max())
    )
    low = np.floor(prompt.box[:2] - play).astype(int)
    high = np.floor(prompt.box[2:] + play).astype(int)
    if not len(prompt.extremes):
        high = np.ceil(prompt.box[2:] + play).astype(int) - 1
    left, top = np.clip(low, 0, [width - 1, height - 1]).tolist()
    right, bottom = np.clip(high + 1, 1, [width, height]).tolist()
    mask[:top] = False
    mask[bottom:] = False
    mask[:, :left] = False
    mask[:, right:] = False


def _without_noise(mask: Bitmap, inside: NDArray[np.int64]) -> Bitmap:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=4
    )
    if count <= 2:
        return mask
    sizes = stats[:, cv2.CC_STAT_AREA].copy()
    sizes[0] = 0
    keep = sizes >= _PART * sizes.max()
    for x, y in inside:
        keep[labels[y, x]] = True
    keep[0] = False
    kept: Bitmap = keep[labels]
    return kept


def _connect(mask: Bitmap, x: int, y: int, reach: float) -> None:
    """Add a click to the mask and connect the two, unless the click is far away."""
    if mask[y, x]:
        return
    top, left = max(0, int(y - reach) - 1), max(0, int(x - reach) - 1)
    near = mask[top : int(y + reach) + 2, left : int(x + reach) + 2]
    ys, xs = np.nonzero(near)
    mask[y, x] = True
    if not len(ys):
        _disc(mask, x, y, max(1.0, reach / 4), value=True)
        return
    away = (xs + left - x) ** 2 + (ys + top - y) ** 2
    nearest = int(away.argmin())
    line = np.zeros(mask.shape, np.uint8)
    end = int(xs[nearest]) + left, int(ys[nearest]) + top
    cv2.line(line, (int(x), int(y)), end, 1, 1 + 2 * int(away[nearest] > 16))
    mask |= line > 0


def _disc(mask: Bitmap, x: int, y: int, radius: float, *, value: bool) -> None:
    top, left = max(0, int(y - radius)), max(0, int(x - radius))
    part = mask[top : int(y + radius) + 1, left : int(x + radius) + 1]
    ys, xs = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    part[(xs - x) ** 2 + (ys - y) ** 2 <= radius**2] = value


def _radius(prompt: Prompt, shape: tuple[int, ...]) -> float:
    return max(1.0, _CUT * _side(prompt, shape))


def _reach(prompt: Prompt, shape: tuple[int, ...]) -> float:
    return max(3.0, _NEAR * _side(prompt, shape))


def _side(prompt: Prompt, shape: tuple[int, ...]) -> float:
    if prompt.box is None:
        return float(min(shape)) / 2
    return float((prompt.box[2:] - prompt.box[:2]).max())
