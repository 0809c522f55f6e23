"""Detections → the shapes that are proposed to people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cvat_bridge.cvat.gateway import Label, RawShape
from cvat_bridge.cvat.shape_equality import shape_key
from cvat_bridge.masks.making import mask_of
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes.detected import FrameDetections, chosen
from cvat_bridge.shapes.detection_shapes import shapes_from_detection


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
