"""From the objects of a CVAT job to the rows of a dataset. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cvat_bridge.ledger.records import FrameFacts
from cvat_bridge.shapes.convert import LabelledObject
from trainer.data.annotations import AnnotatedImage, AnnotatedObject, encode_mask
from trainer.data.labels import LabelMap


def annotated_image(
    frame: FrameFacts,
    objects: Sequence[LabelledObject],
    *,
    labels: LabelMap,
    split: str,
    group: str,
    job: Mapping[str, Any],
) -> AnnotatedImage:
    """Write a frame as a row of the dataset. job: what the manifest says of where it came from.

    Objects without a place (tags) or of a label that is not learned are not part of it.
    """
    placed = [one for one in objects if one.box is not None and one.label in labels.names]
    return AnnotatedImage(
        file_name=file_name_of(frame),
        width=frame.width,
        height=frame.height,
        split=split,
        group=group,
        objects=tuple(_object(one, frame, labels) for one in placed),
        extra={
            "task": frame.task_id,
            "frame": frame.frame,
            **job,
            "object_sources": dict(sorted(Counter(one.source for one in placed).items())),
        },
    )


def file_name_of(frame: FrameFacts) -> str:
    """Name a frame's file in a dataset, by its content."""
    return f"{frame.sha256[:24]}{frame.suffix}"


def _object(one: LabelledObject, frame: FrameFacts, labels: LabelMap) -> AnnotatedObject:
    assert one.box is not None  # noqa: S101 the caller keeps only placed objects
    segmentation: list[list[float]] | dict[str, Any] | None = None
    if one.mask is not None:
        segmentation = encode_mask(one.mask.on((frame.height, frame.width)))
    elif one.polygons:
        segmentation = [np.round(part, 2).ravel().tolist() for part in one.polygons]
    return AnnotatedObject(
        class_id=labels.id_of(one.label),
        box=one.box,
        segmentation=segmentation,
        extra={"cvat_id": one.cvat_id, "source": one.source},
    )
