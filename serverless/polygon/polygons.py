"""Mask → polygons of few vertices, and back.

Coordinates are CVAT's: pixel (row r, column c) is the square from (c, r) to (c + 1, r + 1), so a
mask of one pixel at the origin is the polygon (0, 0), (1, 0), (1, 1), (0, 1). A pixel belongs to
a polygon when its centre lies inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from serverless.polygon.contour import Ring, area, corners, rings, toggles
from serverless.polygon.simplify import Tolerance, simplify

# Share of the permitted wrong pixels that may be spent on dropping specks.
_SPECKS = 0.25
# Maximum number of fitted borders; the smaller ones of a noisy mask stay unchanged.
_FITTED = 64
# Pixels around the bitmap that vertices may use; more would only cost memory.
_ROOM = 24


@dataclass(frozen=True)
class Polygon:
    """One part of an object. exterior: (N, 2) x y, clockwise on the screen; holes likewise."""

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def vertices(self) -> int:
        """Return the number of vertices, holes included."""
        return len(self.exterior) + sum(len(hole) for hole in self.holes)


def polygons_from_mask(
    bitmap: NDArray[np.bool_],
    *,
    left: int = 0,
    top: int = 0,
    size: tuple[int, int] | None = None,
    tolerance_px: float | None = None,
    min_iou: float = 0.97,
    max_vertices: int | None = None,
) -> tuple[Polygon, ...]:
    """Return the parts of a mask, largest first, with few vertices within the tolerance.

    bitmap: (h, w) bool; left, top: its place in the image. size: (height, width) of the image;
    vertices may leave the bitmap but not the image; without it they stay within the bitmap.
    tolerance_px: maximum distance between border and polygon, in pixels; None allows 6 % of the
    root of the area, at least 1.5. min_iou: of the polygons, rasterised, with the mask. Parts that
    touch only at a corner are separate parts. Specks (parts and holes narrower than the tolerance)
    are dropped if min_iou allows it. max_vertices: budget of all parts and holes together, at least
    3; it takes precedence over tolerance and min_iou.

    Every polygon is simple and valid. An empty mask has none. Raises ValueError for settings
    that cannot be met.
    """
    _check(bitmap, tolerance_px, min_iou, max_vertices)
    mask = np.asarray(bitmap, np.bool_)
    pixels = int(mask.sum())
    if not pixels:
        return ()
    distance = max(1.5, 0.06 * math.sqrt(pixels)) if tolerance_px is None else tolerance_px
    mask, left, top = _padded(mask, left, top, size, min(math.ceil(distance) + 1, _ROOM))
    frame = (float(mask.shape[1]), float(mask.shape[0]))
    parts = _parts(mask)
    wrong = (1 - min_iou) * pixels
    parts, wrong = _without_specks(parts, wrong, distance)
    tolerance = Tolerance(wrong / sum(part.size for part in parts), distance)
    areas = sorted((area(r) for part in parts for r in (part.exterior, *part.holes)), reverse=True)
    least = areas[_FITTED] if len(areas) > _FITTED else 0.0
    polygons = [
        _exact(part) if area(part.exterior) < least else _simplified(part, tolerance, frame, least)
        for part in parts
    ]
    if max_vertices is not None and sum(p.vertices for p in polygons) > max_vertices:
        polygons = _within_budget(parts, polygons, tolerance, frame, max_vertices)
    return tuple(_moved(polygon, left, top) for polygon in polygons)


def rasterize(polygons: Iterable[Polygon], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the (height, width) mask of the pixels whose centre lies in any of the polygons."""
    height, width = shape
    mask = np.zeros(height * width, np.bool_)
    for polygon in polygons:
        flips = np.concatenate(
            [toggles(ring, width + 1, height) for ring in (polygon.exterior, *polygon.holes)]
        )
        flips.sort()
        # Rows have an even number of toggles, so pairs are runs of a row; drop the extra column.
        places = (flips - flips // (width + 1)).tolist()
        for first, last in zip(places[0::2], places[1::2], strict=True):
            mask[first:last] = True
    return mask.reshape(shape)


@dataclass(frozen=True)
class _Part:
    """One part of the mask; holes have the orientation of the exterior."""

    exterior: Ring
    holes: tuple[Ring, ...]

    @property
    def size(self) -> float:
        return area(self.exterior) + sum(area(hole) for hole in self.holes)


def _check(
    bitmap: NDArray[np.bool_], tolerance: float | None, min_iou: float, most: int | None
) -> None:
    if bitmap.ndim != 2:
        raise ValueError(f"bitmap must be (h, w), found {bitmap.shape}")
    if tolerance is not None and not tolerance > 0:
        raise ValueError(f"tolerance_px must be more than 0, found {tolerance}")
    if not 0 < min_iou <= 1:
        raise ValueError(f"min_iou must lie in 0..1, found {min_iou}")
    if most is not None and most < 3:
        raise ValueError(f"max_vertices must be 3 or more, found {most}")


def _padded(
    mask: NDArray[np.bool_], left: int, top: int, size: tuple[int, int] | None, reach: int
) -> tuple[NDArray[np.bool_], int, int]:
    """Pad the bitmap, since the vertices of a polygon along a curve lie outside of it."""
    if size is None:
        return mask, left, top
    height, width = mask.shape
    before = min(max(top, 0), reach), min(max(left, 0), reach)
    after = (
        min(max(size[0] - top - height, 0), reach),
        min(max(size[1] - left - width, 0), reach),
    )
    room = tuple(zip(before, after, strict=True))
    return np.pad(mask, room), left - before[1], top - before[0]


def _parts(mask: NDArray[np.bool_]) -> list[_Part]:
    borders = rings(mask)
    outer = [ring for ring in borders if area(ring) > 0]
    inner = [ring for ring in borders if area(ring) < 0]
    holes: dict[int, list[Ring]] = {}
    if inner:
        _, found = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
        labels = np.asarray(found, np.int32)
        for ring in inner:
            holes.setdefault(_label(ring, labels), []).append(ring[::-1])
        parts = [_Part(ring, tuple(holes.get(_label(ring, labels), ()))) for ring in outer]
    else:
        parts = [_Part(ring, ()) for ring in outer]
    return sorted(parts, key=lambda part: -area(part.exterior))


def _label(ring: Ring, labels: NDArray[np.int32]) -> int:
    """Return the part whose pixel lies to the right of the border's first edge."""
    (x, y), (dx, dy) = ring[0], ring[1] - ring[0]
    return int(labels[int(y + (dx + dy - 1) // 2), int(x + (dx - dy - 1) // 2)])


def _without_specks(parts: list[_Part], wrong: float, distance: float) -> tuple[list[_Part], float]:
    left = wrong * _SPECKS
    largest = min(2 * distance**2, left)
    sizes = sorted(
        size
        for part in parts
        for size in (area(part.exterior), *map(area, part.holes))
        if size <= largest
    )
    total, limit = 0.0, 0.0
    for size in sizes:
        if total + size > left:
            break
        total, limit = total + size, size
    kept = [
        _Part(part.exterior, tuple(hole for hole in part.holes if area(hole) > limit))
        for part in parts
        if area(part.exterior) > limit
    ]
    # Specks of equal size are kept or dropped together.
    gone = sum(size for size in sizes if size <= limit)
    if not kept or gone > wrong:
        return parts, wrong
    return kept, wrong - gone


def _simplified(
    part: _Part,
    share: Tolerance,
    frame: tuple[float, float],
    least: float = 0.0,
    most: Sequence[int | None] | None = None,
) -> Polygon:
    """Return one part; share.pixels: wrong pixels permitted per pixel of enclosed area.

    Holes smaller than least stay as they are.
    """
    borders = (part.exterior, *part.holes)
    bounds = most or [None] * len(borders)
    distance = share.distance
    for _ in range(3 if part.holes else 1):
        exterior, *holes = (
            corners(ring)
            if area(ring) < least
            else simplify(
                ring, Tolerance(share.pixels * area(ring), distance), frame=frame, most=bound
            )
            for ring, bound in zip(borders, bounds, strict=True)
        )
        # A hole may cross its exterior where the part is thin.
        if not holes or shapely.Polygon(exterior, holes).is_valid:
            return Polygon(exterior, tuple(holes))
        distance /= 2
    if most is not None:
        return Polygon(exterior)
    return _exact(part)


def _exact(part: _Part) -> Polygon:
    return Polygon(corners(part.exterior), tuple(corners(hole) for hole in part.holes))


def _within_budget(
    parts: list[_Part],
    polygons: list[Polygon],
    tolerance: Tolerance,
    frame: tuple[float, float],
    most: int,
) -> list[Polygon]:
    """Drop the smallest borders until three vertices each suffice, then distribute the rest."""
    sizes = sorted(
        (area(ring) for part in parts for ring in (part.exterior, *part.holes)), reverse=True
    )
    least = sizes[min(len(sizes), most // 3) - 1]
    kept, left = [], most // 3
    for part, polygon in zip(parts, polygons, strict=True):
        if left < 1 or area(part.exterior) < least:
            continue
        pairs = [
            (ring, len(found))
            for ring, found in zip(part.holes, polygon.holes, strict=True)
            if area(ring) >= least
        ][: left - 1]
        left -= 1 + len(pairs)
        holes, counts = tuple(ring for ring, _ in pairs), [count for _, count in pairs]
        kept.append((_Part(part.exterior, holes), [len(polygon.exterior), *counts]))
    every = [count for _, counts in kept for count in counts]
    spare = most - 3 * len(every)
    asked = max(1, sum(count - 3 for count in every))
    shared = [
        (part, [3 + min(count - 3, (count - 3) * spare // asked) for count in counts])
        for part, counts in kept
    ]
    return [_simplified(part, tolerance, frame, most=counts) for part, counts in shared]


def _moved(polygon: Polygon, left: int, top: int) -> Polygon:
    shift = np.array([left, top], np.float64)
    return Polygon(polygon.exterior + shift, tuple(hole + shift for hole in polygon.holes))
