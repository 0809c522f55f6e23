"""Detections → the shapes that are proposed to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cvat_bridge.cvat.gateway import Label, RawShape
from cvat_bridge.masks.making import Made, mask_of
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detection_shapes import LEARNABLE_LABELS, shapes_from_detection
from cvat_bridge.shapes.sameness import shape_key
from trainer.detections import Detections


@dataclass(frozen=True)
class FrameDetections:
    """What a model found in a frame of a job; width and height in pixels.

    made: masks of boxes, by row of found, where the model gives none.
    """

    frame: int
    width: int
    height: int
    found: Detections
    made: Made = field(default_factory=dict)


@dataclass(frozen=True)
class Matching:
    """label_of: the project's label of each class id. unmatched: class names without, and why."""

    label_of: Mapping[int, Label]
    unmatched: Mapping[str, str]

    def without(self, withheld: Mapping[str, str], classes: Sequence[str]) -> Matching:
        """Leave out classes of a model that are not to be proposed. withheld: class → why."""
        kept = {n: label for n, label in self.label_of.items() if classes[n] not in withheld}
        held = {name: why for name, why in withheld.items() if name in classes}
        return Matching(kept, {**self.unmatched, **held})


def match_labels(
    classes: Sequence[str], labels: Sequence[Label], label_ids: Mapping[str, int]
) -> Matching:
    """Find the project's label of each model class: by the id it was learned from, else by name."""
    by_id, by_name = {one.id: one for one in labels}, {one.name: one for one in labels}
    label_of: dict[int, Label] = {}
    unmatched: dict[str, str] = {}
    for class_id, name in enumerate(classes):
        label = by_id.get(label_ids[name]) if name in label_ids else by_name.get(name)
        if label is None:
            unmatched[name] = "the project has no such label (any more)"
        elif label.type not in LEARNABLE_LABELS:
            unmatched[name] = f"label {label.name!r} is of type {label.type}"
        else:
            label_of[class_id] = label
    return Matching(label_of, unmatched)


def chosen(found: Detections, label_of: Mapping[int, Label], settings: RoundSettings) -> list[int]:
    """Give the rows of the detections that reach their label's score, best first."""
    rows = []
    for i in sorted(range(len(found)), key=lambda i: -float(found.scores[i])):
        label = label_of.get(int(found.class_ids[i]))
        if label is not None and float(found.scores[i]) >= settings.threshold(label.name):
            rows.append(i)
    return rows


def propose(
    frames: Sequence[FrameDetections], label_of: Mapping[int, Label], settings: RoundSettings
) -> list[RawShape]:
    """Write the detections that reach their label's score as shapes, by frame, best first.

    An object in several pieces is several polygons in one group of its frame.
    Detections of no area inside the image are left out, boxes without a mask where the label
    takes masks or polygons, and of two equal shapes the second.
    """
    shapes: list[RawShape] = []
    for one in sorted(frames, key=lambda row: row.frame):
        seen = set()
        group = 1
        for i in chosen(one.found, label_of, settings):
            try:
                parts = shapes_from_detection(
                    label=label_of[int(one.found.class_ids[i])],
                    frame=one.frame,
                    box=one.found.boxes[i].tolist(),
                    score=float(one.found.scores[i]),
                    width=one.width,
                    height=one.height,
                    mask=mask_of(one.found, i, one.made),
                    group=group,
                )
            except ValueError:  # no area, or no mask
                continue
            group += len(parts) > 1
            for shape in parts:
                key = shape_key(shape)
                if key not in seen:
                    seen.add(key)
                    shapes.append(shape)
    return shapes
