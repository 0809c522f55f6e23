"""What a model found on a frame, as objects to look at, each with its shapes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cvat_bridge.annotate.existing_shapes import ExistingShapes
from cvat_bridge.cvat.gateway import Label, RawShape
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.shapes import outlines, rle

Outline = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Candidate:
    """An object that a model found. key: names it on its frame. score: 0..1.

    outlines: polygons in pixels of the image. stands: an object of its label stands there already,
    whoever drew it, so that it is not written. shapes: as CVAT would get it.
    """

    key: str
    label: str
    color: str
    score: float
    outlines: tuple[Outline, ...]
    stands: bool
    shapes: tuple[RawShape, ...]


@dataclass(frozen=True)
class Drawn:
    """An object that stands on the frame. by_model: nobody has touched what a model brought."""

    label: str
    color: str
    outlines: tuple[Outline, ...]
    by_model: bool


def candidates_of(
    shapes: Sequence[RawShape], labels: Mapping[int, Label], standing: ExistingShapes
) -> tuple[Candidate, ...]:
    """Group the shapes of a frame into objects, best first; labels by id."""
    groups: dict[object, list[RawShape]] = {}
    for place, shape in enumerate(shapes):
        groups.setdefault(shape["group"] or f"alone {place}", []).append(shape)
    found = []
    for parts in groups.values():
        label = labels[int(parts[0]["label_id"])]
        name = json.dumps([shape_key(part) for part in parts])
        found.append(
            Candidate(
                hashlib.sha256(name.encode()).hexdigest()[:16],
                label.name,
                label.color,
                float(parts[0]["score"]),
                tuple(line for part in parts for line in outlines_of(part)),
                any(standing.has(part) for part in parts),
                tuple(parts),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.score))


def drawn_of(shapes: Sequence[RawShape], labels: Mapping[int, Label]) -> tuple[Drawn, ...]:
    """Return what stands on a frame and can be outlined; labels by id."""
    found = []
    for shape in shapes:
        label, lines = labels.get(int(shape["label_id"])), outlines_of(shape)
        if label is not None and lines:
            by_model = shape.get("source") == "auto"
            found.append(Drawn(label.name, label.color, lines, by_model))
    return tuple(found)


def outlines_of(shape: RawShape) -> tuple[Outline, ...]:
    """Return the polygons that outline a shape; none for points, lines and broken masks."""
    kind, points = shape["type"], shape.get("points") or ()
    turn = float(shape.get("rotation") or 0)
    if kind == "mask":
        return _of_mask(points)
    if kind == "rectangle":
        return (_line(outlines.rectangle(points, turn)),)
    if kind == "ellipse":
        return (_line(outlines.ellipse(points, turn)),)
    if kind == "polygon":
        return (_line(np.asarray(points, float).reshape(-1, 2)),)
    return ()


def _of_mask(points: Sequence[float]) -> tuple[Outline, ...]:
    from serverless.polygon.polygons import polygons_from_mask

    try:
        mask = rle.decode(points)
    except rle.BrokenMaskError:
        return ()
    height, width = mask.bitmap.shape
    size = (mask.top + height, mask.left + width)
    traced = polygons_from_mask(mask.bitmap, left=mask.left, top=mask.top, size=size)
    return tuple(_line(np.asarray(part.exterior, float)) for part in traced)


def _line(points: outlines.Points) -> Outline:
    return tuple((round(float(x), 1), round(float(y), 1)) for x, y in points)
