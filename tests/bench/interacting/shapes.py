"""Answers to clicks of other kinds, and how true a polygon is to its mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from tests.bench.figures import Figure
from tests.bench.interacting.objects import Bitmap, Points, Target
from tests.bench.interacting.peers import Method
from trainer.evaluation.simulated_annotator import four_points, iou

NONE = np.zeros((0, 2))


def coinciding(name: str, found: Sequence[Target], method: Method) -> Figure:
    """Return the IoU where a hand makes two of the four clicks at one place."""
    together, apart = [], []
    for target in found:
        points = four_points(target.mask)
        away = np.linalg.norm(points[:, None] - points[None], axis=-1) + np.eye(4) * 1e9
        one, other = np.unravel_index(int(away.argmin()), away.shape)
        for shift, ious in ((0.0, together), (1.0, apart)):
            moved = points.copy()
            moved[other] = points[one] + shift
            moved = np.clip(moved, 0.5, np.array(target.mask.shape[::-1]) - 0.5)
            ious.append(iou(method(target, moved, NONE), target.mask))
    note = f"the nearest two of {len(together)} objects' points; {np.mean(apart):.3f} a pixel apart"
    return Figure(f"coinciding/{name}", float(np.mean(together)), "IoU", note=note)


def box_only(name: str, found: Sequence[Target], method: Method) -> Figure:
    """Return the IoU of the object's box alone."""
    ious = [iou(method(target, four_points(target.mask), NONE), target.mask) for target in found]
    return Figure(f"box_only/{name}", float(np.mean(ious)), "IoU", note=f"{len(ious)} objects")


def outline(name: str, found: Sequence[Target], raw: Method, drawn: Method) -> Figure:
    """Return how far the masks' borders lie from those of what is drawn by polygons."""
    apart: list[float] = []
    for target in found:
        points = four_points(target.mask)
        mask, shown = raw(target, points, NONE), drawn(target, points, NONE)
        away = cv2.distanceTransform(1 - border(shown), cv2.DIST_L2, 5)
        apart += away[border(mask) > 0].tolist()
    note = f"of {len(apart)} border pixels of {len(found)} masks"
    return Figure(f"outline_px_p95/{name}", float(np.percentile(apart, 95)), "px", note=note)


def border(mask: Bitmap) -> np.ndarray:
    """Return the pixels of a mask at its border, (H, W) 0 or 1."""
    whole = np.pad(mask.astype(np.uint8), 1)
    inner = cv2.erode(whole, np.ones((3, 3), np.uint8))
    return (whole - inner)[1:-1, 1:-1]


def sheet(targets: Sequence[Target], masks: Sequence[Bitmap], ious: Sequence[float]) -> np.ndarray:
    """Return a contact sheet (H, W, 3): the worst objects above, the best below.

    Green is the border of the true mask, red that of the answer.
    """
    order = np.argsort(ious)
    rows = [order[:12], order[::-1][:12]]
    lines = [
        np.concatenate([_tile(targets[n], masks[n], ious[n]) for n in part], axis=1)
        for row in rows
        for part in (row[:6], row[6:])
        if len(part) == 6
    ]
    return np.concatenate(lines) if lines else np.zeros((1, 1, 3), np.uint8)


def _tile(target: Target, mask: Bitmap, value: float, side: int = 120) -> np.ndarray:
    points: Points = four_points(target.mask)
    low, high = points.min(axis=0), points.max(axis=0)
    reach = 0.7 * float((high - low).max()) + 4
    middle = (low + high) / 2
    scale = side / (2 * reach)
    matrix = np.array(
        [[scale, 0, side / 2 - scale * middle[0]], [0, scale, side / 2 - scale * middle[1]]]
    )
    tile = cv2.warpAffine(target.pixels, matrix, (side, side), flags=cv2.INTER_AREA)
    for found, colour in ((target.mask, (0, 230, 60)), (mask, (255, 40, 40))):
        grown = cv2.warpAffine(found.astype(np.uint8) * 255, matrix, (side, side)) > 127
        tile[border(grown) > 0] = colour
    cv2.putText(tile, f"{value:.2f}", (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return np.asarray(tile, np.uint8)
