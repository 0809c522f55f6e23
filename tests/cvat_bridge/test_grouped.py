"""An object in several pieces is one object, from CVAT to the dataset and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvat_bridge.cvat.gateway import Frame, JobAnnotations, Label, Media, RawShape
from cvat_bridge.ledger.records import FrameFacts
from cvat_bridge.loop.proposals.proposing import propose
from cvat_bridge.pull.learned_objects import annotated_image
from cvat_bridge.settings import RoundSettings
from cvat_bridge.shapes import rle
from cvat_bridge.shapes.convert import LabelledObject, shapes_of_job
from cvat_bridge.shapes.detected import FrameDetections
from trainer.data.labels import LabelMap
from trainer.detections import Detections, Mask

LABELS = (Label(1, "car", "any", (), ""), Label(2, "dog", "any", (), ""))
MEDIA = Media(
    task_id=1,
    frames=(Frame(0, "0.jpg", 90, 40), Frame(1, "1.jpg", 90, 40)),
    deleted=frozenset(),
    storage="local",
    cloud_storage_id=None,
    is_video=False,
    chunk_size=1,
)
LEFT, RIGHT = [2, 5, 32, 5, 32, 35, 2, 35], [60, 5, 88, 5, 88, 35, 60, 35]


def polygon(points: list[int], group: int = 7, **how: Any) -> RawShape:
    return {"type": "polygon", "frame": 0, "label_id": 1, "points": points, "group": group, **how}


def mask(x: int, group: int = 7, **how: Any) -> RawShape:
    points = rle.encode(Mask(np.ones((30, 28), np.bool_), x, 5))
    return {"type": "mask", "frame": 0, "label_id": 1, "points": points, "group": group, **how}


def learnt(*shapes: RawShape, frame: int = 0, **more: Any) -> tuple[LabelledObject, ...]:
    rows = tuple({"id": n, "source": "manual", **shape} for n, shape in enumerate(shapes, 1))
    found = shapes_of_job(
        JobAnnotations((), rows, **more), labels=LABELS, media=MEDIA, frames=[frame]
    )
    return found.by_frame[frame]


@pytest.mark.parametrize(
    "pieces",
    [
        [polygon(LEFT), polygon(RIGHT)],
        [mask(2), mask(60)],
        [polygon(LEFT), mask(60)],
        [mask(2), polygon(RIGHT)],
    ],
)
def test_pieces_of_one_label_in_one_group_are_one_object(pieces: list[RawShape]) -> None:
    (whole,) = learnt(*pieces)

    assert whole.box is not None and whole.box[0] == 2 and whole.box[2] >= 88
    assert whole.parts == (1, 2)
    frame = FrameFacts("1/0", 1, 0, "0" * 64, ".jpg", 90, 40, "", "")
    row = annotated_image(
        frame, [whole], labels=LabelMap(("car", "dog")), split="train", group="", job={}
    )
    (one,) = row.objects
    bitmap = one.bitmap(40, 90)
    assert bitmap[20, 10] and bitmap[20, 70] and not bitmap[20, 45]


@pytest.mark.parametrize(
    ("pieces", "count"),
    [
        ([polygon(LEFT), polygon(RIGHT, label_id=2)], 2),  # a group of two labels
        ([polygon(LEFT), polygon(RIGHT, group=8)], 2),
        ([polygon(LEFT, group=0), polygon(RIGHT, group=0)], 2),
        ([polygon(LEFT), polygon(RIGHT, frame=1)], 1),  # the same group on another frame
        ([polygon(LEFT), polygon(RIGHT), polygon(LEFT, label_id=2)], 2),
        ([polygon(LEFT), {**polygon([2, 5, 32, 35]), "type": "rectangle"}], 2),
        ([{**polygon([2, 5, 9, 9]), "type": "rectangle"}] * 2, 2),
    ],
)
def test_what_is_no_piece_stays_apart(pieces: list[RawShape], count: int) -> None:
    assert len(learnt(*pieces)) == count


def test_a_piece_that_a_person_drew_makes_the_object_a_persons() -> None:
    (whole,) = learnt(polygon(LEFT, source="auto"), polygon(RIGHT, source="manual"))

    assert whole.source == "manual"


def in_pieces(count: int) -> Detections:
    bitmap = np.zeros((30, 86), np.bool_)
    for n in range(count):
        bitmap[:, n * 30 : n * 30 + 22] = True
    return Detections(
        boxes=np.array([[2, 5, 88, 35]], np.float32),
        scores=np.array([0.9], np.float32),
        class_ids=np.array([0]),
        masks=(Mask(bitmap, 2, 5),),
    )


@pytest.mark.parametrize(("kind", "shapes"), [("polygon", 3), ("mask", 1), ("any", 1)])
def test_an_object_in_pieces_is_proposed_whole_and_learnt_whole(kind: str, shapes: int) -> None:
    label = Label(1, "car", kind, (), "")
    frames = [FrameDetections(0, 90, 40, in_pieces(3))]

    written = propose(frames, {0: label}, RoundSettings())

    assert len(written) == shapes
    assert len({shape["group"] for shape in written}) == 1
    assert (written[0]["group"] > 0) == (shapes > 1)
    (whole,) = learnt(*written)
    assert whole.box is not None and whole.box[0] == 2 and whole.box[2] >= 83


def test_two_objects_in_pieces_get_two_groups() -> None:
    one = in_pieces(2)
    assert one.masks is not None
    found = Detections(
        boxes=np.repeat(one.boxes, 2, axis=0),
        scores=np.array([0.9, 0.8], np.float32),
        class_ids=np.array([0, 0]),
        masks=(one.masks[0], Mask(one.masks[0].bitmap[:15], 2, 20)),
    )

    written = propose(
        [FrameDetections(0, 90, 40, found)], {0: Label(1, "c", "polygon", (), "")}, RoundSettings()
    )

    assert sorted(shape["group"] for shape in written) == [1, 1, 2, 2]
    assert len(learnt(*written)) == 2
