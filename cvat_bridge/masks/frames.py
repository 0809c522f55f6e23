"""The masks of a round's proposals: the frames are fetched that have boxes to be made masks of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cvat_bridge.cvat.gateway import Gateway, Label
from cvat_bridge.frames.originals import read_originals
from cvat_bridge.ledger.records import frame_key
from cvat_bridge.masks.interactors import NO_INTERACTOR
from cvat_bridge.masks.making import Segmenter, make_masks, wants_mask
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detected import FrameDetections, chosen


@dataclass
class MaskTally:
    """What came of boxes that were to become masks.

    maskless: boxes without one, by label: nothing was found in them. unread: frames that could
    not be looked at, and why, by key. impossible: labels that nothing here makes masks for, by
    class id, and why.
    """

    maskless: Counter[str] = field(default_factory=Counter)
    unread: dict[str, str] = field(default_factory=dict)
    impossible: dict[int, str] = field(default_factory=dict)


def with_masks(
    gateway: Gateway,
    task_id: int,
    frames: Sequence[FrameDetections],
    label_of: Mapping[int, Label],
    settings: RoundSettings,
    segmenter: Segmenter,
    tally: MaskTally,
) -> list[FrameDetections]:
    """Return the frames of a task with a mask for each box that is proposed as mask or polygon.

    What has none is added to the tally, and is not proposed. Raises GatewayError, BundleError.
    """
    masked_rows = {one.frame: _rows(one, label_of, settings) for one in frames}
    numbers = [number for number, rows in masked_rows.items() if rows]
    if not numbers:
        return list(frames)
    engine = segmenter()
    if engine is None:
        for one in frames:
            for row in masked_rows[one.frame]:
                class_id = int(one.found.class_ids[row])
                label = label_of[class_id]
                text = f"label {label.name!r} is of type {label.type}; {NO_INTERACTOR}"
                tally.impossible[class_id] = text
        return list(frames)
    by_number = {one.frame: one for one in frames}
    for number, original in read_originals(gateway, gateway.media(task_id), numbers):
        one, rows = by_number[number], masked_rows[number]
        if original.pixels is None:
            tally.unread[frame_key(task_id, number)] = original.facts.problem
            continue
        made = make_masks(engine, original.pixels, one.found, rows)
        by_number[number] = replace(one, made=made)
        tally.maskless.update(
            label_of[int(one.found.class_ids[row])].name
            for row, mask in made.items()
            if mask is None
        )
    return list(by_number.values())


def _rows(
    one: FrameDetections, label_of: Mapping[int, Label], settings: RoundSettings
) -> list[int]:
    rows = chosen(one.found, label_of, settings)
    return [row for row in rows if wants_mask(label_of[int(one.found.class_ids[row])], one.found)]
