"""A polygon between two keyframes, as CVAT draws it.

The two outlines may differ in their number of points: points are matched by how far along the
outline they lie, each pair moves in a straight line, and points that come to lie close together
are thinned out, so that the result has about as many points as its neighbours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def polygon_between(left: Points, right: Points, share: float) -> Points:
    """Give the polygon at `share` (0 to 1) of the way from left (N, 2) to right (M, 2)."""
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
        kept.extend(_thinned(points, _length(line) / (2 * len(line))))
    return np.asarray(kept)


def _length(line: Points) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _along(line: Points) -> Points:
    """Give how far along the line each point lies, as a share of its length."""
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    walked = np.concatenate([[0.0], np.cumsum(steps)])
    return walked / walked[-1] if walked[-1] > 0 else walked


def _matches(left: Points, right: Points) -> list[list[int]]:
    """Give the partners of each left point; every right point is somebody's partner."""
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
        if np.linalg.norm(point - kept[-1]) >= threshold:
            kept.append(point)
    kept.append(points[-1])
    if len(kept) == 2 and np.linalg.norm(kept[1] - kept[0]) < threshold:
        return [(kept[0] + kept[1]) / 2]
    return kept
