"""Outlines of CVAT's shapes in image pixels, y pointing down.

Points are (K, 2) float64. CVAT rotates rectangles and ellipses about their centre, clockwise as
seen, by degrees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

Points = NDArray[np.float64]
Box = tuple[float, float, float, float]
ELLIPSE_ERROR = 0.1  # pixels that an ellipse's polygon may leave its curve


def rectangle(points: Sequence[float], rotation: float) -> Points:
    """Return the corners of a rectangle x1 y1 x2 y2, turned; corners may be swapped."""
    x1, y1, x2, y2 = points
    corners = np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
    return turned(corners, ((x1 + x2) / 2, (y1 + y2) / 2), rotation)


def ellipse(points: Sequence[float], rotation: float) -> Points:
    """Return a polygon of an ellipse cx cy right_x top_y (edges, not radii), turned."""
    cx, cy, right, top = points
    rx, ry = abs(right - cx), abs(cy - top)
    largest = max(rx, ry, ELLIPSE_ERROR * 2)
    sides = math.ceil(math.pi / math.acos(1 - ELLIPSE_ERROR / largest))
    angles = np.linspace(0, 2 * math.pi, min(max(12, sides), 180), endpoint=False)
    curve = np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)
    return turned(curve, (cx, cy), rotation)


def ellipse_box(points: Sequence[float], rotation: float) -> Box:
    """Return the box around an ellipse cx cy right_x top_y, turned."""
    cx, cy, right, top = points
    rx, ry, angle = abs(right - cx), abs(cy - top), math.radians(rotation)
    half_width = math.hypot(rx * math.cos(angle), ry * math.sin(angle))
    half_height = math.hypot(rx * math.sin(angle), ry * math.cos(angle))
    return cx - half_width, cy - half_height, cx + half_width, cy + half_height


def turned(points: Points, centre: tuple[float, float], degrees: float) -> Points:
    """Turn points clockwise about a centre."""
    if degrees % 360 == 0:
        return points
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    spin = np.array([[cosine, sine], [-sine, cosine]], np.float64)
    moved: Points = (points - np.asarray(centre)) @ spin + np.asarray(centre)
    return moved


def box_of(points: Points) -> Box:
    """Return the box around points."""
    (x1, y1), (x2, y2) = points.min(axis=0), points.max(axis=0)
    return float(x1), float(y1), float(x2), float(y2)


def clipped_box(box: Box, width: int, height: int) -> Box | None:
    """Cut a box to the image; None when nothing with an area is left."""
    x1, x2 = (min(max(value, 0.0), float(width)) for value in (box[0], box[2]))
    y1, y2 = (min(max(value, 0.0), float(height)) for value in (box[1], box[3]))
    return (x1, y1, x2, y2) if x2 > x1 and y2 > y1 else None


def clipped(points: Points, width: int, height: int) -> tuple[Points, ...]:
    """Cut a polygon to the image; more than one part, or none, may be left."""
    if np.all(points >= 0) and np.all(points <= (width, height)):
        return (points,)
    whole = shapely.make_valid(shapely.Polygon(points))
    inside = shapely.intersection(whole, shapely.box(0, 0, width, height))
    parts = shapely.get_parts(inside)
    return tuple(
        np.asarray(part.exterior.coords[:-1], np.float64)
        for part in parts
        if isinstance(part, shapely.Polygon) and part.area > 0
    )
