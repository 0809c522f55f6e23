"""Masks to polygons of few vertices."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Polygon:
    exterior: NDArray[np.float64]
    holes: tuple[NDArray[np.float64], ...] = ()


def polygons_from_mask(
    bitmap: NDArray[np.bool_],
    *,
    left: int = 0,
    top: int = 0,
) -> tuple[Polygon, ...]:
    padded = cv2.dilate(np.pad(bitmap.astype(np.uint8), 1), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    parts = []
    for contour in sorted(contours, key=len, reverse=True):
        points = cv2.approxPolyDP(contour, 1.0, True)[:, 0, :].astype(np.float64) - 1
        if len(points) > 2:
            parts.append(Polygon(points + [left, top]))
    return tuple(parts)
