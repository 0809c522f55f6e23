"""Tiles of a large frame: their positions, and which tile owns an object."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OVERLAP = 0.2  # of a tile's side, shared with the next one


@dataclass(frozen=True)
class Tile:
    """A tile's corner, and its core: the part of the frame whose objects it owns; in pixels."""

    left: int
    top: int
    core: tuple[float, float, float, float]

    def owns(self, boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which boxes (N, 4) have their centre in the core, (N,)."""
        x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        x1, y1, x2, y2 = self.core
        return np.asarray((x >= x1) & (x < x2) & (y >= y1) & (y < y2), np.bool_)


def tiles_of(frame: tuple[int, int], tile: tuple[int, int]) -> list[Tile]:
    """Return the tiles of (height, width) = tile that cover a frame of (height, width).

    Their cores partition the plane, so that an object on a seam is found once.
    """
    rows, columns = (_starts(whole, side) for whole, side in zip(frame, tile, strict=True))
    return [
        Tile(left, top, (x1, y1, x2, y2))
        for (top, y1, y2) in _cores(rows, tile[0])
        for (left, x1, x2) in _cores(columns, tile[1])
    ]


def _starts(whole: int, side: int) -> list[int]:
    if whole <= side:
        return [0]
    count = math.ceil((whole - side * OVERLAP) / (side * (1 - OVERLAP)))
    return [round(n * (whole - side) / (count - 1)) for n in range(count)]


def _cores(starts: list[int], side: int) -> list[tuple[int, float, float]]:
    """Return each start with the bounds of its core, halfway through the overlaps."""
    seams = [(b + a + side) / 2 for a, b in itertools.pairwise(starts)]
    lows, highs = [-math.inf, *seams], [*seams, math.inf]
    return list(zip(starts, lows, highs, strict=True))
