"""What a job holds already: which frames have objects, and whether an object stands there. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from cvat_bridge.cvat.gateway import JobAnnotations, RawShape
from cvat_bridge.shapes import outlines
from cvat_bridge.shapes.detection_shapes import next_group
from trainer.detections import box_iou

# Two objects of one label and type that share this much of their boxes' union are one object, as
# detectors' own suppression has it: whoever drew the first, a second one would be work to delete.
SAME_OBJECT = 0.7
_Key = tuple[int, int, str]


class ExistingShapes:
    """The objects of a job, asked by place."""

    def __init__(self, shapes: Iterable[RawShape]) -> None:
        shapes = list(shapes)
        self.next_group = next_group(shapes)
        rows: dict[_Key, list[outlines.Box]] = defaultdict(list)
        for shape in shapes:
            box = box_of_shape(shape)
            if box is not None:
                rows[_key(shape)].append(box)
        self._boxes = {key: np.array(boxes, float) for key, boxes in rows.items()}

    def has(self, shape: RawShape) -> bool:
        """Return whether an object of its label and type stands in its place, whoever drew it."""
        boxes, box = self._boxes.get(_key(shape)), box_of_shape(shape)
        if boxes is None or box is None:
            return False
        return bool((box_iou(box, boxes) >= SAME_OBJECT).any())


def occupied(held: JobAnnotations, last_frame: int) -> frozenset[int]:
    """Return the frames, up to last_frame, on which a job shows any tag, shape or track."""
    found = {int(one["frame"]) for one in (*held.tags, *held.shapes)}
    for track in held.tracks:
        keyframes = sorted((int(s["frame"]), bool(s.get("outside"))) for s in track["shapes"])
        ends = [frame for frame, _ in keyframes[1:]] + [last_frame + 1]
        for (start, outside), end in zip(keyframes, ends, strict=True):
            if not outside:
                found.update(range(start, end))
    return frozenset(found)


def box_of_shape(shape: RawShape) -> outlines.Box | None:
    """Return x1 y1 x2 y2 around a shape in pixels; None for one without points of its own."""
    points: Sequence[float] = shape.get("points") or ()
    if len(points) < 2:
        return None
    if shape["type"] == "mask":
        left, top, right, bottom = points[-4:]
        return float(left), float(top), float(right) + 1, float(bottom) + 1
    turn = float(shape.get("rotation") or 0)
    if shape["type"] == "ellipse":
        return outlines.ellipse_box(points, turn)
    if shape["type"] == "rectangle":
        return outlines.box_of(outlines.rectangle(points, turn))
    return outlines.box_of(np.asarray(points, float).reshape(-1, 2))


def _key(shape: RawShape) -> _Key:
    return int(shape["frame"]), int(shape["label_id"]), str(shape["type"])
