"""Which labels can be learnt from, and what happened to them since the last pull. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from cvat_bridge.cvat.gateway import Label
from cvat_bridge.errors import LabelMismatchError
from cvat_bridge.ledger.records import KnownLabel
from cvat_bridge.shapes.detection_shapes import LEARNABLE_LABELS


def learnable(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Return the labels that a model of boxes or masks can learn, by rising id.

    Raises LabelMismatchError when there is none.
    """
    found = tuple(
        label for label in sorted(labels, key=lambda one: one.id) if label.type in LEARNABLE_LABELS
    )
    if not found:
        held = [f"{label.name} ({label.type})" for label in labels]
        raise LabelMismatchError(
            held,
            sorted(LEARNABLE_LABELS),
            "Add a label of one of these types to the project in CVAT.",
        )
    return found


def check_learnable(labels: Sequence[Label], tasks: AbstractSet[str], backend: str) -> None:
    """Raise LabelMismatchError when what learns could make nothing of any label of the project.

    tasks: of the backend, by which name it is told: "masks" alone means that it cannot learn from
    rectangles.
    """
    found = learnable(labels)
    if tasks == {"masks"} and all(label.type == "rectangle" for label in found):
        raise LabelMismatchError(
            [f"{label.name} ({label.type})" for label in found],
            sorted(LEARNABLE_LABELS - {"rectangle"}),
            f"The backend {backend} learns from outlines and masks: add such a label to the project"
            " in CVAT, or set trainer.backend to one that learns from boxes.",
        )


def changes(before: Sequence[KnownLabel], now: Sequence[Label]) -> tuple[str, ...]:
    """Return which labels were renamed, retyped, added or deleted, told apart by their ids."""
    if not before:
        return ()
    old = {label.label_id: label for label in before}
    new = {label.id: label for label in now}
    lines = []
    for label_id in sorted(old.keys() | new.keys()):
        if label_id not in new:
            lines.append(f"label {old[label_id].name!r} was deleted, and its objects with it")
        elif label_id not in old:
            lines.append(f"label {new[label_id].name!r} is new")
        elif old[label_id].name != new[label_id].name:
            lines.append(
                f"label {old[label_id].name!r} is now called {new[label_id].name!r}; "
                "its objects keep their meaning"
            )
        elif old[label_id].type != new[label_id].type:
            lines.append(
                f"label {new[label_id].name!r} was of type {old[label_id].type}, "
                f"is now {new[label_id].type}"
            )
    return tuple(lines)
