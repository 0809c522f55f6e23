"""The borders of a mask, in the coordinates of CVAT's editor.

Pixel (row r, column c) is the square from (c, r) to (c + 1, r + 1), as the editor draws masks and
traces them. A border runs along the edges between pixels. Pixels that touch only at a corner belong
to different parts, and a hole that touches the outside at a corner is no hole.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]  # (N, 2) x y, closed without repeating the first point
Toggles = NDArray[np.int64]  # sorted row * stride + column of the crossings of each row


def rings(bitmap: NDArray[np.bool_]) -> list[Ring]:
    """Return every border, one point per pixel edge, in order of its first pixel.

    Outer borders have a positive `area`, holes a negative one.
    """
    height, width = bitmap.shape
    stride = width + 1
    padded = np.pad(bitmap, 1)
    above, below = padded[:-2, 1:-1], padded[2:, 1:-1]
    before, after = padded[1:-1, :-2], padded[1:-1, 2:]
    starts = []
    # East, south, west, north: along the four sides of a pixel, with the mask on the right.
    for beyond, down, right in ((above, 0, 0), (after, 0, 1), (below, 1, 1), (before, 1, 0)):
        flat = np.flatnonzero(bitmap & ~beyond)
        # The grid of corners has one column more than the grid of pixels.
        starts.append(flat + flat // width + down * stride + right)
    corner = np.concatenate(starts)
    direction = np.repeat(np.arange(4), [len(part) for part in starts])
    leaving = np.full(4 * (height + 1) * stride, -1, np.int32)
    leaving[4 * corner + direction] = np.arange(len(corner))
    end = 4 * (corner + np.array([1, stride, -1, -stride])[direction])
    # Right turn first: it stays with its own pixel where two touch at a corner.
    following = leaving[end + (direction + 1) % 4]
    for turn in (0, 3):
        following = np.where(following < 0, leaving[end + (direction + turn) % 4], following)
    points = np.stack([corner % stride, corner // stride], axis=1).astype(np.float64)
    return [points[ring] for ring in _cycles(following.tolist())]


def area(ring: Ring) -> float:
    """Return the signed area in pixels; positive when clockwise on the screen."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def corners(ring: Ring) -> Ring:
    """Return only the corner points of the border, without self-contact.

    Where it passes a point twice, each pass is moved a quarter pixel into its own pixel, so that
    the ring stays simple and no pixel centre changes sides.
    """
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turning = np.any(before != after, axis=1)
    places = (ring[:, 1] * (ring[:, 0].max() + 1) + ring[:, 0]).astype(np.int64)
    _, place, count = np.unique(places, return_inverse=True, return_counts=True)
    touching = count[place] > 1
    moved = np.where(touching[:, None], ring + (after - before) / 4, ring)
    return moved[turning]


def toggles(ring: Ring, stride: int, height: int) -> Toggles:
    """Return where rows of pixel centres enter or leave a polygon, by the even-odd rule.

    stride: more than the largest column, so that row * stride + column is unique; columns outside
    0..stride - 1 and rows outside 0..height - 1 are clipped.
    """
    start, end = ring, np.roll(ring, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    first = np.clip(np.ceil(low - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.ceil(high - 0.5), 0, height).astype(np.int64)
    count = last - first
    edge = np.repeat(np.arange(len(ring)), count)
    offset = np.cumsum(count) - count
    row = np.arange(len(edge)) - np.repeat(offset, count) + np.repeat(first, count)
    a, b = start[edge], end[edge]
    x = a[:, 0] + (row + 0.5 - a[:, 1]) * (b[:, 0] - a[:, 0]) / (b[:, 1] - a[:, 1])
    column = np.clip(np.ceil(x - 0.5), 0, stride - 1).astype(np.int64)
    return np.sort(row * stride + column)


def pixels_in(crossings: Toggles) -> int:
    """Return the number of pixels inside; every row has an even number of toggles."""
    return int(crossings[1::2].sum() - crossings[0::2].sum())


def pixels_between(one: Toggles, other: Toggles) -> int:
    """Return the number of pixels in exactly one of two polygons."""
    return pixels_in(np.sort(np.concatenate([one, other])))


def _cycles(following: list[int]) -> list[list[int]]:
    seen = bytearray(len(following))
    cycles = []
    for begin in range(len(following)):
        if seen[begin]:
            continue
        cycle, at = [], begin
        while not seen[at]:
            seen[at] = 1
            cycle.append(at)
            at = following[at]
        cycles.append(cycle)
    return cycles
