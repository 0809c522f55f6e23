"""Write a model's predictions as the responses that CVAT reads.

CVAT validates little of a response: a mask whose box leaves the image is stored and breaks later,
one item with a wrong number of points fails the whole frame, an unknown label is silently dropped.
So everything is clipped and validated here, before it is sent.
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

# The first CVAT version that reads {"shapes": …} from an interactor and keeps its confidence.
_SHAPES_SINCE = (2, 60)
# CVAT's confidence slider starts at 0.5 and hides what is below.
SHOWN_FROM = 0.501

# Boxes (N, 4) → the mask in each, or None; see trainer.engines.boxes_to_masks.
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

    classes: indexed by class_ids. labels: how classes appear in CVAT; a class without one is not
    shown. size: (height, width) of the image. min_score: for all, or per class name. draw: called
    once for the masks of the boxes that are shown as masks or polygons, if the model returned none;
    an object without a mask is not sent, since its box is not its outline. Raises ModelError for a
    class id that is not in classes, since a wrong label map must not pass silently; and for boxes
    to be shown as masks without draw.
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
    """Yield the detections to send, and how each appears."""
    shown = {label.source: label for label in labels}
    rows = []
    for i in range(len(detections)):
        try:
            name = classes.name_of(int(detections.class_ids[i]))
        except ConfigError as error:
            raise ModelError(f"the model returned {error}") from error
        score = float(detections.scores[i])
        least = min_score if isinstance(min_score, int | float) else min_score[name]
        label = shown.get(name)
        if label is not None and score >= least:
            rows.append((i, label))
    return rows


def _masks(
    detections: Detections, rows: Sequence[tuple[int, FunctionLabel]], draw: Draw | None
) -> dict[int, Mask]:
    """Return the mask of each detection that has one: the model's, else one drawn in its box."""
    if detections.masks is not None:
        return {i: detections.masks[i] for i, _ in rows}
    masked = [i for i, label in rows if label.type in MASKED]
    if not masked:
        return {}
    if draw is None:
        raise ModelError(
            "a model of boxes is shown as masks, but there is no interactor to make them"
        )
    drawn = zip(masked, draw(detections.boxes[masked]), strict=True)
    return {i: mask for i, mask in drawn if mask is not None}


def interactor_answer(
    candidates: Sequence[Candidate], *, size: tuple[int, int], user_agent: str | None
) -> dict[str, Any]:
    """Return an interactor's response in the format of the calling CVAT version.

    size: (height, width) of the image. From 2.60, and for callers without a version, the shapes
    format with all candidates; before, the mask of the best one over the full frame. The best one
    is always visible: CVAT hides shapes below 0.5 until the slider is moved, but a person requested
    this mask, whatever its estimated IoU.
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
    """Return the estimated IoU sent to CVAT: for the best mask never so low that it is hidden."""
    return max(estimate, SHOWN_FROM) if best else estimate


def rle(mask: Mask) -> list[int]:
    """Return a mask in CVAT's format: run lengths by rows, zeros first, then the inclusive box."""
    flat = mask.bitmap.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs: list[int] = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    return ([0] if flat.size and flat[0] else []) + runs + _inclusive(mask)


def _shapes(
    kind: str, box: NDArray[np.float32], mask: Mask | None, size: tuple[int, int]
) -> list[dict[str, Any]]:
    """Return one shape of the label's type, several if an object needs several polygons.

    None for a mask or polygon without a mask: the filled box is not the object.
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
    if kind == "ellipse":  # CVAT's format: the centre, the right edge and the upper edge
        points = [(x1 + x2) / 2, (y1 + y2) / 2, x2, y1]
        return [{"type": "ellipse", "points": _rounded(points), "rotation": 0}]
    return [{"type": "rectangle", "points": _rounded([x1, y1, x2, y2])}]


def _mask_shapes(kind: str, mask: Mask, size: tuple[int, int]) -> list[dict[str, Any]]:
    parts = polygons_from_mask(mask.bitmap, left=mask.left, top=mask.top, size=size)
    if kind == "polygon":
        return [{"type": "polygon", "points": _flat(part)} for part in parts]
    # CVAT uses these points as the polygon when converting masks; it accepts one only.
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
