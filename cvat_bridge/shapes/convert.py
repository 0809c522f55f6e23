"""From CVAT's annotations to objects that can be learned, and from detections to CVAT's shapes.

Pure functions of values. What cannot be learned is not dropped in silence: it is counted. The way
to CVAT is in detection_shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cvat_bridge.cvat.gateway import Frame, JobAnnotations, Label, Media, RawShape
from cvat_bridge.shapes import outlines, rle
from cvat_bridge.shapes.detection_shapes import shape_from_detection
from cvat_bridge.shapes.grouped import joined
from cvat_bridge.shapes.labelled_object import LabelledObject
from cvat_bridge.shapes.tracks import UnknownTrackError, shapes_of_track
from trainer.detections import Mask, clip_mask

LEARNABLE_KINDS = frozenset({"rectangle", "polygon", "mask", "ellipse", "tag"})

__all__ = [
    "LEARNABLE_KINDS",
    "JobObjects",
    "LabelledObject",
    "SkippedObjects",
    "shape_from_detection",
    "shapes_of_job",
]


@dataclass(frozen=True)
class SkippedObjects:
    """Annotations that were not turned into objects. count: shapes, tags or tracks."""

    kind: str
    reason: str
    count: int


@dataclass(frozen=True)
class JobObjects:
    """What a job's annotations come to: every frame asked for (maybe without objects)."""

    by_frame: dict[int, tuple[LabelledObject, ...]]
    left_out: tuple[SkippedObjects, ...]


class _Unusable(ValueError):  # noqa: N818 - a reason on its way to SkippedObjects, never raised outside
    """Why one annotation is left out."""


def shapes_of_job(
    annotations: JobAnnotations,
    *,
    labels: Sequence[Label],
    media: Media,
    frames: Iterable[int],
    join_groups: bool = True,
) -> JobObjects:
    """Turn a job's annotations into objects on the frames asked for.

    media: of the job (gateway.job_media), so that strays outside of it are known. Deleted frames
    are never part of the answer. Polygons and masks of one label in one group of a frame are one
    object in several pieces, as in CVAT's COCO export; other groups leave objects apart.
    join_groups: False gives every piece. Skeletons, points, lines, cuboids, broken masks, shapes
    outside of the image and unknown labels are counted in left_out.
    """
    sizes = {frame.number: frame for frame in media.frames}
    numbers = {number for number in frames if number in sizes and number not in media.deleted}
    names = {label.id: label.name for label in labels}
    found: dict[int, list[LabelledObject]] = {number: [] for number in sorted(numbers)}
    left_out: Counter[tuple[str, str]] = Counter()

    for shape in (*annotations.shapes, *annotations.tags):
        kind = str(shape.get("type") or "tag")
        try:
            frame = _frame_of(shape, sizes, media)
            if frame.number in numbers:
                found[frame.number].append(_object(shape, kind, names, frame))
        except (_Unusable, rle.BrokenMaskError) as error:
            left_out[kind, str(error)] += 1

    last = max(sizes, default=-1)
    for track in annotations.tracks:
        keyframes: Sequence[RawShape] = track.get("shapes") or ()
        kind = f"track of {keyframes[0]['type']}" if keyframes else "track without a keyframe"
        problems: set[str] = set()
        for number, learned in _along_track(track, names, sizes, media, last, problems):
            if number in numbers:
                found[number].append(learned)
        left_out.update((kind, problem) for problem in problems)

    return JobObjects(
        by_frame={
            number: joined(objects, sizes[number].width, sizes[number].height)
            if join_groups
            else tuple(objects)
            for number, objects in found.items()
        },
        left_out=tuple(
            SkippedObjects(kind, reason, count)
            for (kind, reason), count in sorted(left_out.items())
        ),
    )


def _frame_of(shape: RawShape, sizes: dict[int, Frame], media: Media) -> Frame:
    number = int(shape["frame"])
    if number not in sizes:
        raise _Unusable("on a frame that the job does not hold")
    if number in media.deleted:
        raise _Unusable("on a deleted frame")
    return sizes[number]


def _along_track(
    track: RawShape,
    names: dict[int, str],
    sizes: dict[int, Frame],
    media: Media,
    last: int,
    problems: set[str],
) -> Iterator[tuple[int, LabelledObject]]:
    if track.get("elements"):
        problems.add("skeletons cannot be learned")
        return
    try:
        for shape in shapes_of_track(track, last_frame=last, deleted=media.deleted):
            frame = sizes.get(shape["frame"])
            if frame is None:
                continue
            whole = {
                **shape,
                "label_id": track["label_id"],
                "source": track.get("source"),
                "group": track.get("group"),
            }
            try:
                learned = _object(whole, str(shape["type"]), names, frame, track_id=track.get("id"))
            except (_Unusable, rle.BrokenMaskError) as error:
                problems.add(str(error))
            else:
                yield frame.number, learned
    except UnknownTrackError as error:
        problems.add(f"{error} cannot be learned")


def _object(
    shape: RawShape,
    kind: str,
    names: dict[int, str],
    frame: Frame,
    *,
    track_id: int | None = None,
) -> LabelledObject:
    if kind not in LEARNABLE_KINDS:
        raise _Unusable(f"{kind} cannot be learned")
    label = names.get(int(shape["label_id"]))
    if label is None:
        raise _Unusable(f"label {shape['label_id']} is none of the project's")
    box, polygons, mask = _place(shape, kind, frame)
    score = shape.get("score")
    return LabelledObject(
        label=label,
        kind=kind,
        box=box,
        polygons=polygons,
        mask=mask,
        source=str(shape.get("source") or "manual"),
        score=1.0 if score is None else float(score),
        cvat_id=shape.get("id") if track_id is None else track_id,
        track_id=track_id,
        group=int(shape.get("group") or 0),
    )


def _place(
    shape: RawShape, kind: str, frame: Frame
) -> tuple[outlines.Box | None, tuple[NDArray[np.float64], ...], Mask | None]:
    if kind == "tag":
        return None, (), None
    width, height = frame.width, frame.height
    points = shape["points"]
    if kind == "mask":
        mask = clip_mask(rle.decode(points), (height, width))
        if mask is None:
            raise _Unusable("no pixel of it lies in the image")
        return rle.box(mask), (), mask
    rotation = float(shape.get("rotation") or 0)
    if kind == "polygon":
        if len(points) < 6 or len(points) % 2:
            raise _Unusable(f"{len(points)} numbers are no polygon")
        outline = np.asarray(points, np.float64).reshape(-1, 2)
    elif len(points) != 4:
        raise _Unusable(f"{len(points)} numbers are no {kind}")
    else:
        outline = getattr(outlines, kind)(points, rotation)
    if not np.all(np.isfinite(outline)):
        raise _Unusable("a coordinate is not finite")
    if kind == "rectangle" and rotation % 360 == 0:
        polygons: tuple[NDArray[np.float64], ...] = ()
    else:
        polygons = outlines.clipped(outline, width, height)
        if not polygons:
            raise _Unusable("nothing of it lies in the image")
    # Of a shape that leaves the image, the box goes around what is inside.
    inside = np.vstack(polygons) if polygons else outline
    around = outlines.box_of(inside)
    if kind == "ellipse" and len(polygons) == 1 and polygons[0] is outline:
        around = outlines.ellipse_box(points, rotation)
    box = outlines.clipped_box(around, width, height)
    if box is None:
        raise _Unusable("it has no area in the image")
    return box, polygons, None
