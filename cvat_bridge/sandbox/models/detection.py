"""A detector's answer as annotations: labels mapped, masks run-length encoded, confidence lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cvat_bridge.sandbox.annotations import shapes
from cvat_bridge.sandbox.annotations.annotation_store import Objects
from cvat_bridge.sandbox.models.mapping import Target, attribute_fits
from cvat_bridge.sandbox.store.state import Row


def _rle(bitmap: Sequence[float]) -> list[int]:
    """Return run lengths of a flat two-valued bitmap, zeros first."""
    values = np.asarray(bitmap)
    if not values.size:
        raise ValueError("an empty mask cannot be encoded")
    borders = np.flatnonzero(values[1:] != values[:-1]) + 1
    runs = np.diff(np.concatenate(([0], borders, [values.size]))).tolist()
    return ([0] if values[0] else []) + [int(run) for run in runs]


def _attributes(item: Mapping[str, Any], target: Target) -> list[Row]:
    return [
        {"spec_id": target.attributes[given["name"]]["id"], "value": given["value"]}
        for given in item.get("attributes") or ()
        if given["name"] in target.attributes
        and attribute_fits(given["value"], target.attributes[given["name"]])
    ]


def _part(element: Mapping[str, Any], target: Target, frame: int) -> Row:
    return {
        "type": "points",
        "frame": frame,
        "label_id": target.label["id"],
        "points": element["points"],
        "outside": element.get("outside", False),
        "occluded": False,
        "source": "auto",
        "attributes": _attributes(element, target),
    }


def _skeleton(item: Mapping[str, Any], target: Target, frame: int) -> list[Row]:
    present = {
        element["label"]: element
        for element in item.get("elements", ())
        if element["label"] in target.parts
    }
    seen = [element["points"] for element in present.values() if not element.get("outside")]
    if not seen:
        return []
    centre = np.mean(np.asarray(seen, dtype=float), axis=0).tolist()
    return [
        _part(present.get(name, {"points": centre, "outside": True}), part, frame)
        for name, part in target.parts.items()
    ]


def convert(
    answer: Sequence[Mapping[str, Any]],
    mapping: Mapping[str, Target],
    frame: int,
    *,
    masks_to_polygons: bool,
) -> Objects:
    """Return tags and shapes of one frame; ApiError 400 for one that could not be stored.

    A label outside the mapping is dropped. A confidence is not kept.
    """
    tags: list[Row] = []
    found: list[Row] = []
    for item in answer:
        label, kind = item["label"], item["type"]
        target = mapping.get(label)
        if target is None:
            continue
        common = {
            "frame": frame,
            "label_id": target.label["id"],
            "source": "auto",
            "group": item.get("group_id", 0),
            "attributes": _attributes(item, target),
        }
        if kind == "tag":
            tags.append(common)
            continue
        shape = {
            **common,
            "type": kind,
            "occluded": False,
            "outside": item.get("outside", False),
            "z_order": 0,
            "points": item.get("points", []),
        }
        if kind in {"rectangle", "ellipse"}:
            shape["rotation"] = item.get("rotation", 0.0)
        if kind == "mask":
            if masks_to_polygons and item.get("points"):
                shape["type"] = "polygon"
            else:
                *bitmap, left, top, right, bottom = item["mask"]
                shape["points"] = [*_rle(bitmap), left, top, right, bottom]
        if kind == "skeleton":
            shape["points"], shape["elements"] = [], _skeleton(item, target, frame)
            if not shape["elements"]:
                continue
        found.append(shape)
    return shapes.parse({"tags": tags, "shapes": found}, ids=False)


def moved(shape: Row, dx: int, dy: int) -> Row:
    """Return a shape moved by a region's corner."""
    points = list(shape["points"])
    if shape["type"] == "mask":
        left, top, right, bottom = points[-4:]
        points[-4:] = [left + dx, top + dy, right + dx, bottom + dy]
    else:
        points = [value + (dx, dy)[index % 2] for index, value in enumerate(points)]
    parts = [moved(part, dx, dy) for part in shape.get("elements", ())]
    return {**shape, "points": points, **({"elements": parts} if parts else {})}
