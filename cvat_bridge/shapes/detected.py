"""What a model found in a frame, and which of it a project has labels for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detection_shapes import LEARNABLE_LABELS
from trainer.detections import Detections, Mask

# The row of a detection → its mask, None where nothing was found in its box.
Made = Mapping[int, Mask | None]


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
class LabelMatching:
    """label_of: the project's label of each class id. unmatched: class names without, and why."""

    label_of: Mapping[int, Label]
    unmatched: Mapping[str, str]

    def without(self, withheld: Mapping[str, str], classes: Sequence[str]) -> LabelMatching:
        """Leave out classes of a model that are not to be proposed. withheld: class → why."""
        kept = {n: label for n, label in self.label_of.items() if classes[n] not in withheld}
        held = {name: why for name, why in withheld.items() if name in classes}
        return LabelMatching(kept, {**self.unmatched, **held})


def match_labels(
    classes: Sequence[str], labels: Sequence[Label], label_ids: Mapping[str, int]
) -> LabelMatching:
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
    return LabelMatching(label_of, unmatched)


def chosen(found: Detections, label_of: Mapping[int, Label], settings: RoundSettings) -> list[int]:
    """Return the rows of the detections that reach their label's score, best first."""
    rows = []
    for i in sorted(range(len(found)), key=lambda i: -float(found.scores[i])):
        label = label_of.get(int(found.class_ids[i]))
        if label is not None and float(found.scores[i]) >= settings.threshold(label.name):
            rows.append(i)
    return rows
