"""A detection as the CVAT shape that fits its label's type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.cvat.gateway import Attribute, Label, RawShape
from cvat_bridge.shapes import outlines, rle
from serverless.store.confidence import NAME as CONFIDENCE
from serverless.store.confidence import ConfidenceForm
from serverless.store.functions import MASKED
from trainer.detections import Mask, clip_mask

LEARNABLE_LABELS = frozenset({"any", "rectangle", "polygon", "mask", "ellipse"})
DIGITS = 2


def shape_from_detection(
    *,
    label: Label,
    frame: int,
    box: Sequence[float],
    score: float,
    width: int,
    height: int,
    polygon: NDArray[np.float64] | None = None,
    mask: Mask | None = None,
) -> RawShape:
    """Write a detection as the CVAT shape that fits its label's type, source auto, with its score.

    box: x1 y1 x2 y2 in pixels of the image, which is width by height. polygon: (K, 2). Of a mask
    in several parts a polygon label gets the largest. A label of type any gets the most exact form
    there is. Raises ValueError for a detection without area in the image, for one of a box alone
    where the label is of type mask or polygon (its box would be no outline of it), and for label
    types that no detection fits (points, polyline, cuboid, skeleton, tag).
    """
    kind, points = _form(label, box, polygon, mask, width, height)
    return {
        "type": kind,
        "frame": frame,
        "label_id": label.id,
        "points": points,
        "source": "auto",
        "score": round(float(score), 4),
        "occluded": False,
        "outside": False,
        "z_order": 0,
        "rotation": 0.0,
        "group": 0,
        "attributes": [
            {"spec_id": attribute.id, "value": value}
            for attribute in label.attributes
            if attribute.name == CONFIDENCE
            and (value := confidence_value(attribute, score)) is not None
        ],
        "elements": [],
    }


def shapes_from_detection(
    *,
    label: Label,
    frame: int,
    box: Sequence[float],
    score: float,
    width: int,
    height: int,
    mask: Mask | None = None,
    group: int = 0,
) -> list[RawShape]:
    """Write a detection as shapes of CVAT: several polygons in one group for an object in pieces.

    group: number that the shapes get where there are several, unused on its frame; else as
    shape_from_detection, which also says what is raised.
    """
    whole = shape_from_detection(
        label=label, frame=frame, box=box, score=score, width=width, height=height, mask=mask
    )
    if whole["type"] != "polygon" or mask is None:
        return [whole]
    pieces = sorted(_pieces(None, mask, width, height), key=_area, reverse=True)
    if len(pieces) < 2:
        return [whole]
    return [{**whole, "points": _rounded(part.ravel()), "group": group} for part in pieces]


def next_group(shapes: Iterable[RawShape]) -> int:
    """Return a number of a group that none of these shapes and tracks has; at least 1."""
    return 1 + max((int(shape.get("group") or 0) for shape in shapes), default=0)


def _form(
    label: Label,
    box: Sequence[float],
    polygon: NDArray[np.float64] | None,
    mask: Mask | None,
    width: int,
    height: int,
) -> tuple[str, list[Any]]:
    if label.type not in LEARNABLE_LABELS:
        raise ValueError(f"label {label.name!r} is of type {label.type}: no detection fits it")
    edges = outlines.clipped_box((box[0], box[1], box[2], box[3]), width, height)
    if edges is None:
        raise ValueError(f"the detection {list(box)} has no area in {width} x {height} pixels")
    kind = label.type
    if kind == "any":
        kind = "mask" if mask is not None else "polygon" if polygon is not None else "rectangle"
    if kind in MASKED and mask is None and polygon is None:
        raise ValueError(f"label {label.name!r} is of type {kind}, the detection is a box alone")
    if kind == "mask":
        drawn = rle.fill([polygon], width, height) if mask is None and polygon is not None else mask
        inside = clip_mask(drawn, (height, width)) if drawn is not None else None
        if inside is None:
            raise ValueError("no pixel of the detection's mask lies in the image")
        return kind, list(rle.encode(inside))
    if kind == "polygon":
        outline = _outline(polygon, mask, width, height)
        if outline is None:
            raise ValueError("nothing of the detection's outline lies in the image")
        return kind, _rounded(outline.ravel())
    x1, y1, x2, y2 = edges
    if kind == "ellipse":
        return kind, _rounded([(x1 + x2) / 2, (y1 + y2) / 2, x2, y1])
    return kind, _rounded(edges)


def _outline(
    polygon: NDArray[np.float64] | None,
    mask: Mask | None,
    width: int,
    height: int,
) -> NDArray[np.float64] | None:
    return max(_pieces(polygon, mask, width, height), key=_area, default=None)


def _pieces(
    polygon: NDArray[np.float64] | None, mask: Mask | None, width: int, height: int
) -> list[NDArray[np.float64]]:
    candidates: list[NDArray[np.float64]] = [polygon] if polygon is not None else []
    if not candidates and mask is not None:
        from serverless.polygon.polygons import polygons_from_mask

        traced = polygons_from_mask(mask.bitmap, left=mask.left, top=mask.top, size=(height, width))
        candidates = [np.asarray(part.exterior, np.float64) for part in traced]
    return [part for whole in candidates for part in outlines.clipped(whole, width, height)]


def _area(points: NDArray[np.float64]) -> float:
    x, y = points.T
    return abs(float(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))) / 2


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def confidence_value(attribute: Attribute, score: float) -> str | None:
    """Write a score as an attribute's value; None where its kind cannot hold one."""
    return ConfidenceForm(attribute.input_type, attribute.values).write(score)
