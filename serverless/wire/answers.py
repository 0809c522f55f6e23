"""What a model found, in the words CVAT reads.

CVAT checks little of an answer: a mask whose box leaves the image is stored and breaks later, one
item with a wrong number of points fails the whole frame, a label it doesn't know vanishes without
a word. So everything is clipped and checked here, before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serverless.errors import ModelError
from serverless.polygon.polygons import Polygon, polygons_from_mask
from serverless.store.confidence import NAME
from serverless.store.functions import MASKED, FunctionLabel
from serverless.wire.requests import cvat_version
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask, clip_mask
from trainer.errors import ConfigError
from trainer.interactor import Candidate as Candidate  # noqa: PLC0414 part of what answers take

# The first CVAT that reads {"shapes": …} from an interactor and keeps its confidence.
_SHAPES_SINCE = (2, 60)
# CVAT's slider begins at 0.5 and shows what is above.
SHOWN_FROM = 0.501

# Boxes (N, 4) → the mask in each, None where there is none; see trainer.engines.boxes_to_masks.
Draw = Callable[[NDArray[np.float32]], Sequence[Mask | None]]


def detector_answer(
    detections: Detections,
    *,
    classes: LabelMap,
    labels: Sequence[FunctionLabel],
    size: tuple[int, int],
    min_score: float | Mapping[str, float],
    draw: Draw | None = None,
) -> list[dict[str, Any]]:
    """Return the items of one image, best score first.

    classes: what class_ids point into. labels: how classes appear in CVAT; a class without one
    isn't shown. size: (height, width) of the image. min_score: for all, or a class name. draw:
    asked once for the masks of the boxes that are shown as masks or polygons, where the model
    gave none; an object that gets no mask is not sent, since its box would be no outline of it.
    Raises ModelError for a class id that is not in classes: a wrong label map is no silence; and
    for boxes that are to be masks where there is no draw.
    """
    rows = _shown(detections, classes, labels, min_score)
    masks = _masks(detections, rows, draw)
    items: list[dict[str, Any]] = []
    groups = 0
    for i, label in rows:
        score = float(detections.scores[i])
        shapes = _shapes(label.type, detections.boxes[i], masks.get(i), size)
        form = label.confidence
        value = form.write(score) if form.passes_functions else None
        item: dict[str, Any] = {
            "label": label.name,
            "confidence": f"{score:.4f}",
            "attributes": [] if value is None else [{"name": NAME, "value": value}],
        }
        if len(shapes) > 1:
            groups += 1
            item["group_id"] = groups
        items += [item | shape for shape in shapes]
    return items


def _shown(
    detections: Detections,
    classes: LabelMap,
    labels: Sequence[FunctionLabel],
    min_score: float | Mapping[str, float],
) -> list[tuple[int, FunctionLabel]]:
    """Give the detections that are sent, and how each appears."""
    shown = {label.source: label for label in labels}
    rows = []
    for i in range(len(detections)):
        try:
            name = classes.name_of(int(detections.class_ids[i]))
        except ConfigError as error:
            raise ModelError(f"the model answered {error}") from error
        score = float(detections.scores[i])
        least = min_score if isinstance(min_score, int | float) else min_score[name]
        label = shown.get(name)
        if label is not None and score >= least:
            rows.append((i, label))
    return rows


def _masks(
    detections: Detections, rows: Sequence[tuple[int, FunctionLabel]], draw: Draw | None
) -> dict[int, Mask]:
    """Give the mask of each detection that has one: the model's, else one drawn in its box."""
    if detections.masks is not None:
        return {i: detections.masks[i] for i, _ in rows}
    wanted = [i for i, label in rows if label.type in MASKED]
    if not wanted:
        return {}
    if draw is None:
        raise ModelError("a model of boxes is shown as masks, and no interactor makes them")
    drawn = zip(wanted, draw(detections.boxes[wanted]), strict=True)
    return {i: mask for i, mask in drawn if mask is not None}


def interactor_answer(
    candidates: Sequence[Candidate], *, size: tuple[int, int], user_agent: str | None
) -> dict[str, Any]:
    """Return an interactor's answer in the form that the calling CVAT reads.

    size: (height, width) of the image. From 2.60, and for callers who do not say, the shapes
    form with every candidate; before, the mask of the best one over the full frame. The best one
    is always shown: CVAT hides what is below 0.5 until somebody moves its slider, and a person
    asked for this mask, however well it is thought of.
    """
    clipped = [
        Candidate(mask, candidate.confidence)
        for candidate in sorted(candidates, key=lambda c: -c.confidence)
        if (mask := clip_mask(candidate.mask, size)) is not None
    ]
    if (cvat_version(user_agent) or _SHAPES_SINCE) < _SHAPES_SINCE:
        frame = clipped[0].mask.on(size) if clipped else np.zeros(size, np.bool_)
        return {"mask": frame.astype(np.uint8).tolist()}
    return {
        "shapes": [
            {
                "type": "mask",
                "points": rle(candidate.mask),
                "attributes": [
                    {"spec_id": 0, "value": f"{shown_estimate(candidate.confidence, best):.4f}"}
                ],
            }
            for best, candidate in zip([True, *[False] * len(clipped)], clipped, strict=False)
        ]
    }


def shown_estimate(estimate: float, best: bool) -> float:
    """Return the estimated IoU as CVAT is told: of the best mask never so low that it is hidden."""
    return max(estimate, SHOWN_FROM) if best else estimate


def rle(mask: Mask) -> list[int]:
    """Return CVAT's form of a mask: run lengths by rows, zeros first, then the inclusive box."""
    flat = mask.bitmap.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return ([0] if flat.size and flat[0] else []) + runs + _inclusive(mask)


def _shapes(
    kind: str, box: NDArray[np.float32], mask: Mask | None, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return one shape of the label's type, several where one object needs several polygons.

    None for a mask or polygon without a mask: the box filled is not the object.
    """
    height, width = size
    x1, x2 = np.clip(box[[0, 2]].astype(float), 0, width)
    y1, y2 = np.clip(box[[1, 3]].astype(float), 0, height)
    if kind == "any":
        kind = "rectangle" if mask is None else "mask"
    if kind in MASKED:
        inside = None if mask is None else clip_mask(mask, size)
        return [] if inside is None else _mask_shapes(kind, inside, size)
    if x2 - x1 <= 0 or y2 - y1 <= 0:
        return []
    if kind == "ellipse":  # CVAT's form: the middle, the right edge and the upper one
        points = [(x1 + x2) / 2, (y1 + y2) / 2, x2, y1]
        return [{"type": "ellipse", "points": _rounded(points), "rotation": 0}]
    return [{"type": "rectangle", "points": _rounded([x1, y1, x2, y2])}]


def _mask_shapes(kind: str, mask: Mask, size: tuple[int, int]) -> list[dict[str, Any]]:
    parts = polygons_from_mask(mask.bitmap, left=mask.left, top=mask.top, size=size)
    if kind == "polygon":
        return [{"type": "polygon", "points": _flat(part)} for part in parts]
    # CVAT makes the polygon of these points when asked to convert masks; it takes one only.
    return [
        {
            "type": "mask",
            "mask": mask.bitmap.ravel().astype(np.uint8).tolist() + _inclusive(mask),
            "points": _flat(parts[0]),
        }
    ]


def _flat(polygon: Polygon) -> list[float]:
    return _rounded(polygon.exterior.ravel().tolist())


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]


def _inclusive(mask: Mask) -> list[int]:
    height, width = mask.bitmap.shape
    return [mask.left, mask.top, mask.left + width - 1, mask.top + height - 1]
