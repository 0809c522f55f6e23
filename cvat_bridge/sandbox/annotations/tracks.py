"""Tracks over several jobs: cut at their borders, put together again where they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cvat_bridge.sandbox.store.state import Row

_BLENDED = {"rectangle", "ellipse", "points", "cuboid", "polyline", "polygon"}


def _carried(keyframes: Sequence[Row]) -> list[Row]:
    """Return keyframes in order, each with the attribute values that hold from then on."""
    values: dict[int, Any] = {}
    found = []
    for keyframe in sorted(keyframes, key=lambda one: one["frame"]):
        values |= {item["spec_id"]: item.get("value") for item in keyframe.get("attributes", ())}
        attributes = [{"spec_id": key, "value": value} for key, value in values.items()]
        found.append({**keyframe, "attributes": attributes})
    return found


def at(keyframes: Sequence[Row], frame: int) -> Row | None:
    """Return the shape of a track at a frame, interpolated; None before it begins."""
    before = [one for one in keyframes if one["frame"] <= frame]
    if not before:
        return None
    left = before[-1]
    after = [one for one in keyframes if one["frame"] > frame]
    shape = {**left, "frame": frame, "id": None}
    if left["frame"] == frame or not after or left.get("outside"):
        return shape
    right = after[0]
    if left["type"] in _BLENDED and len(left["points"]) == len(right["points"]):
        part = (frame - left["frame"]) / (right["frame"] - left["frame"])
        shape["points"] = [
            float(a + (b - a) * part) for a, b in zip(left["points"], right["points"], strict=True)
        ]
    return shape


def cut(track: Row, start: int, stop: int) -> Row | None:
    """Return the part of a track that lies in a job's frames; None when it is not there."""
    keyframes = _carried(track["shapes"])
    kept = [one for one in keyframes if start <= one["frame"] <= stop]
    if len(kept) == len(keyframes):
        return track
    first = at(keyframes, start)
    if first is not None and not first.get("outside") and not (kept and kept[0]["frame"] == start):
        kept.insert(0, first)
    later = any(one["frame"] > stop for one in keyframes)
    if kept and later and kept[-1]["frame"] != stop and not kept[-1].get("outside"):
        last = at(keyframes, stop)
        if last is not None:
            kept.append(last)
    if not kept:
        return None
    parts = [cut(part, start, stop) for part in track.get("elements", ())]
    cropped = {**track, "frame": kept[0]["frame"], "shapes": kept}
    if parts:
        cropped["elements"] = [part for part in parts if part is not None]
    return cropped


def _box(shape: Row) -> tuple[float, float, float, float]:
    xs, ys = shape["points"][::2], shape["points"][1::2]
    return min(xs), min(ys), max(xs), max(ys)


def overlap(one: Row, other: Row) -> float:
    """Return intersection over union of two shapes' bounding boxes."""
    if one["type"] != other["type"] or not one["points"] or not other["points"]:
        return 0.0
    if one["points"] == other["points"]:
        return 1.0
    a, b = _box(one), _box(other)
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return shared / (areas - shared)


def same(one: Row, other: Row, first: int, last: int) -> bool:
    """Return whether two jobs' tracks are one in the frames that both jobs have."""
    if one["label_id"] != other["label_id"]:
        return False
    for frame in range(first, last + 1):
        left, right = at(one["shapes"], frame), at(other["shapes"], frame)
        if left is None or right is None or overlap(left, right) < 0.5:
            return False
    return True


def joined(one: Row, other: Row) -> Row:
    """Return one track out of two, with every keyframe once."""
    frames = {shape["frame"] for shape in one["shapes"]}
    shapes = one["shapes"] + [s for s in other["shapes"] if s["frame"] not in frames]
    return {**one, "shapes": sorted(shapes, key=lambda shape: shape["frame"])}


def closed(track: Row, stop: int, size: int) -> Row:
    """Return a track that ends with its job, told to be outside from the next frame on."""
    last = track["shapes"][-1]
    if stop + 1 >= size or last.get("outside"):
        return track
    end = {**last, "frame": stop + 1, "outside": True}
    return {**track, "shapes": [*track["shapes"], end]}
