"""What the cost model says where no clock does: seconds of what people did. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cvat_bridge.thresholds.rule import DrawingSeconds


@dataclass(frozen=True)
class Modelled:
    """Seconds with pre-annotation and without, of so many objects and frames."""

    with_it: float
    without: float
    objects: int
    frames: int


def modelled(
    counts: Iterable[tuple[str, str, int]],
    types: Mapping[str, str],
    seconds: DrawingSeconds,
    *,
    frames: int,
    opened: float,
) -> Modelled:
    """Add up what people did. counts: label, outcome, how often. types: of labels, by name.

    frames: of the pre-annotated jobs that are finished. opened: seconds to open and scan one.
    Each proposal is looked at; a nudged or relabelled one is mended, a redrawn one removed and
    drawn, a deleted one removed; an added one is drawn. Without, every object is drawn.
    """
    with_it = without = frames * opened
    objects = 0
    for label, outcome, count in counts:
        each = seconds.of(types.get(label, "rectangle"), "boxes")
        spent = {
            "kept": each.verify,
            "nudged": each.verify + each.fix,
            "relabelled": each.verify + each.fix,
            "redrawn": each.verify + each.delete + each.draw,
            "deleted": each.verify + each.delete,
            "added": each.draw,
        }[outcome]
        with_it += count * spent
        if outcome != "deleted":
            without += count * each.draw
            objects += count
    return Modelled(with_it, without, objects, frames)
