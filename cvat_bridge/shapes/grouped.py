"""One object that is drawn in several pieces: a group of CVAT, joined and parted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from cvat_bridge.shapes import rle
from cvat_bridge.shapes.labelled_object import LabelledObject
from trainer.detections import Mask, clip_mask

JOINED_KINDS = frozenset({"polygon", "mask"})  # a box or an ellipse is a whole object by itself


def joined(
    objects: Iterable[LabelledObject], width: int, height: int
) -> tuple[LabelledObject, ...]:
    """Join the polygons and masks of one label in one group; the first one's place is kept.

    objects: of one frame of width by height pixels.
    """
    rows: dict[tuple[object, ...], list[LabelledObject]] = {}
    for place, one in enumerate(objects):
        grouped = one.group and one.kind in JOINED_KINDS
        key = (one.group, one.label) if grouped else (None, place)
        rows.setdefault(key, []).append(one)
    return tuple(
        parts[0] if len(parts) == 1 else _whole(parts, width, height) for parts in rows.values()
    )


def _whole(parts: Sequence[LabelledObject], width: int, height: int) -> LabelledObject:
    boxes = [one.box for one in parts if one.box is not None]
    x1, y1 = (min(box[i] for box in boxes) for i in (0, 1))
    x2, y2 = (max(box[i] for box in boxes) for i in (2, 3))
    masks = [one.mask for one in parts if one.mask is not None]
    polygons = tuple(part for one in parts for part in one.polygons)
    mask = _union(masks, polygons, width, height) if masks else None
    by_hand = [one.source for one in parts if one.source != "auto"]
    return replace(
        parts[0],
        box=(x1, y1, x2, y2),
        polygons=() if mask is not None else polygons,
        mask=mask,
        source=by_hand[0] if by_hand else "auto",
        score=max(one.score for one in parts),
        parts=tuple(one.cvat_id for one in parts if one.cvat_id is not None),
    )


def _union(
    masks: Sequence[Mask],
    polygons: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float64]]],
    width: int,
    height: int,
) -> Mask | None:
    drawn = rle.fill(polygons, width, height) if polygons else None
    canvas = np.zeros((height, width), np.bool_)
    for one in (*masks, *([drawn] if drawn is not None else [])):
        canvas |= one.on((height, width))
    return clip_mask(Mask(canvas, 0, 0), (height, width))
