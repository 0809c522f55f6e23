"""A polygon between two keyframes, as CVAT draws it.

The two outlines may differ in their number of points: points are matched by how far along the
outline they lie, each pair moves in a straight line, and points that come to lie close together
are thinned out, so that the result has about as many points as its neighbours.
"""

from __future__ import annotations

import math
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def polygon_between(left: Points, right: Points, share: float) -> Points:
    """Return the polygon at `share` (0 to 1) of the way from left (N, 2) to right (M, 2)."""
    left, right = np.vstack([left, left[:1]]), np.vstack([right, right[:1]])
    return _between(left, right, share)[:-1]


def _between(left: Points, right: Points, share: float) -> Points:
    matches = _matches(_along(left), _along(right))
    moved = [
        [left[i] + (right[j] - left[i]) * share for j in partners]
        for i, partners in enumerate(matches)
    ]
    kept: list[Points] = []
    for run in _runs(matches):
        points = [point for i in run for point in moved[i]]
        if len(points) == 1:
            kept.extend(points)
            continue
        several = len(matches[run[0]]) > 1
        line = (
            right[matches[run[0]][0] : matches[run[0]][-1] + 1]
            if several
            else left[run[0] : run[-1] + 1]
        )
        kept.extend(_thinned(points, _walked(line)[-1] / (2 * len(line))))
    return np.asarray(kept)


# Lengths are summed one by one and not by numpy: halfway between keyframes distances are often
# exactly on a threshold, and the last bit decides as in CVAT.
def _distance(one: Points, other: Points) -> float:
    dx, dy = float(one[0] - other[0]), float(one[1] - other[1])
    return math.sqrt(dx**2 + dy**2)


def _walked(line: Points) -> list[float]:
    return list(accumulate(map(_distance, line[1:], line[:-1]), initial=0.0))


def _along(line: Points) -> Points:
    """Return how far along the line each point lies, as a share of its length."""
    walked = np.asarray(_walked(line))
    return walked / walked[-1] if walked[-1] > 0 else walked


def _matches(left: Points, right: Points) -> list[list[int]]:
    """Return the partners of each left point; every right point is somebody's partner."""
    matches = [[int(np.abs(right - place).argmin())] for place in left]
    taken = {partners[0] for partners in matches}
    for j in range(len(right)):
        if j not in taken:
            matches[int(np.abs(left - right[j]).argmin())].append(j)
    return [sorted(partners) for partners in matches]


def _runs(matches: list[list[int]]) -> list[list[int]]:
    """Put neighbours together that share their only partner; a point of several stays alone."""
    runs: list[list[int]] = []
    for i, partners in enumerate(matches):
        if runs and len(partners) == 1 and matches[runs[-1][0]] == partners:
            runs[-1].append(i)
        else:
            runs.append([i])
    return runs


def _thinned(points: list[Points], threshold: float) -> list[Points]:
    """Keep the ends, and between them only what lies far enough from the last one kept."""
    kept = [points[0]]
    for point in points[1:-1]:
        if _distance(kept[-1], point) >= threshold:
            kept.append(point)
    kept.append(points[-1])
    if len(kept) == 2 and _distance(kept[0], kept[1]) < threshold:
        return [(kept[0] + kept[1]) / 2]
    return kept
