"""Tracks as shapes frame by frame, the way CVAT interpolates them.

Keyframes on deleted frames do not count. A track is seen from a keyframe on until one that is
`outside`; after its last keyframe it stands still. Rectangles and ellipses move and turn in a
straight line, polygons as in tween.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from cvat_bridge.cvat.gateway import RawShape
from cvat_bridge.shapes.tween import polygon_between

STRAIGHT = frozenset({"rectangle", "ellipse"})


class UnknownTrackError(ValueError):
    """A track of a kind that has no form between its keyframes."""


def shapes_of_track(
    track: RawShape, *, last_frame: int, deleted: Container[int] = ()
) -> Iterator[RawShape]:
    """Yield the track's visible shape on each frame up to last_frame, in rising order.

    Shapes are as CVAT's JSON has them, with `frame`, `points`, `rotation` and `keyframe` set.
    Raises UnknownTrackError for kinds other than rectangle, ellipse and polygon.
    """
    by_frame = {int(shape["frame"]): shape for shape in track.get("shapes") or ()}
    keyframes = [shape for frame, shape in sorted(by_frame.items()) if frame not in deleted]
    kinds = {str(shape["type"]) for shape in keyframes}
    if len(kinds) > 1 or not kinds <= STRAIGHT | {"polygon"}:
        raise UnknownTrackError(f"a track of {' and '.join(sorted(kinds))}")
    first = int(track.get("frame") or 0)
    for shape in _all(keyframes, last_frame):
        if first <= shape["frame"] <= last_frame and shape["frame"] not in deleted:
            yield shape


def _all(keyframes: list[RawShape], last_frame: int) -> Iterator[RawShape]:
    for left, right in pairwise(keyframes):
        if not left.get("outside"):
            yield {**left, "keyframe": True}
            yield from _between(left, right)
    if keyframes and not keyframes[-1].get("outside"):
        final = keyframes[-1]
        yield {**final, "keyframe": True}
        for frame in range(int(final["frame"]) + 1, last_frame + 1):
            yield {**final, "frame": frame, "keyframe": False}


def _between(left: RawShape, right: RawShape) -> Iterator[RawShape]:
    start, stop = int(left["frame"]), int(right["frame"])
    before, after = np.asarray(left["points"], float), np.asarray(right["points"], float)
    turn = _shortest_turn(float(left.get("rotation") or 0), float(right.get("rotation") or 0))
    for frame in range(start + 1, stop):
        share = (frame - start) / (stop - start)
        changes: dict[str, Any] = {"frame": frame, "keyframe": False}
        if left["type"] == "polygon":
            points = polygon_between(before.reshape(-1, 2), after.reshape(-1, 2), share)
            changes["points"] = points.ravel().tolist()
        else:
            changes["points"] = (before + (after - before) * share).tolist()
            changes["rotation"] = (float(left.get("rotation") or 0) + turn * share) % 360
        yield {**left, **changes}


def _shortest_turn(start: float, stop: float) -> float:
    """Return the turn from one angle to another, by the shorter way; half a turn goes clockwise."""
    turn = (stop - start) % 360
    return turn if turn <= 180 else turn - 360
