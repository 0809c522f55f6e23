"""CVAT's annotations as objects that can be learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvat_bridge.cvat.gateway import Frame, JobAnnotations, Label, Media
from cvat_bridge.shapes.convert import JobObjects, SkippedObjects, shapes_of_job

LABELS = (Label(1, "cell", "rectangle"), Label(2, "nucleus", "mask"), Label(3, "night", "tag"))
WIDTH, HEIGHT = 100, 80


def media(frames: range = range(4), deleted: frozenset[int] = frozenset()) -> Media:
    return Media(
        task_id=1,
        frames=tuple(Frame(n, f"{n}.png", WIDTH, HEIGHT) for n in frames),
        deleted=deleted,
        storage="local",
        cloud_storage_id=None,
        is_video=False,
        chunk_size=36,
    )


def a_shape(kind: str = "rectangle", points: Any = (10, 20, 30, 50), **more: Any) -> dict[str, Any]:
    return {
        "id": 5,
        "type": kind,
        "frame": 0,
        "label_id": 1,
        "points": list(points),
        "source": "manual",
        "score": 1.0,
        "rotation": 0.0,
        **more,
    }


def read(*shapes: dict[str, Any], frames: Any = range(4), **more: Any) -> JobObjects:
    held = JobAnnotations(shapes=shapes, tags=more.pop("tags", ()), tracks=more.pop("tracks", ()))
    return shapes_of_job(held, labels=LABELS, media=more.pop("media", media()), frames=frames)


def test_a_rectangle_keeps_who_drew_it_and_how_sure_it_was():
    found = read(a_shape(source="semi-auto", score=0.4, id=12, frame=2))

    (only,) = found.by_frame[2]
    assert (only.label, only.kind, only.box) == ("cell", "rectangle", (10.0, 20.0, 30.0, 50.0))
    assert (only.source, only.score, only.cvat_id, only.track_id) == ("semi-auto", 0.4, 12, None)
    assert only.polygons == ()
    assert only.mask is None


def test_every_frame_asked_for_is_answered_also_without_objects():
    found = read(a_shape(frame=3), frames=[1, 3])

    assert list(found.by_frame) == [1, 3]
    assert found.by_frame[1] == ()
    assert found.left_out == ()


def test_boxes_are_cut_to_the_image_and_swapped_corners_put_right():
    found = read(a_shape(points=[90, 70, 500, 500]), a_shape(points=[20, 30, 5, 6]))

    assert [one.box for one in found.by_frame[0]] == [
        (90.0, 70.0, 100.0, 80.0),
        (5.0, 6.0, 20.0, 30.0),
    ]


def test_a_turned_rectangle_has_its_corners_and_the_box_around_them():
    """A quarter turn clockwise about the centre (20, 35) of 20 x 30 pixels."""
    (only,) = read(a_shape(rotation=90.0)).by_frame[0]

    assert only.box == pytest.approx((5, 25, 35, 45))
    np.testing.assert_allclose(only.polygons[0], [[35, 25], [35, 45], [5, 45], [5, 25]], atol=1e-9)


def test_turning_goes_clockwise():
    """The top left corner of a wide rectangle rises when it turns by 30 degrees."""
    (only,) = read(a_shape(points=[20, 30, 60, 34], rotation=30.0)).by_frame[0]

    left = only.polygons[0][0]
    assert left[1] < 30
    assert only.polygons[0][1][1] > 34


def test_an_ellipse_is_centre_right_edge_and_top_edge():
    (only,) = read(a_shape("ellipse", [50, 40, 70, 30])).by_frame[0]

    assert only.box == pytest.approx((30, 30, 70, 50))
    outline = only.polygons[0]
    on_curve = ((outline[:, 0] - 50) / 20) ** 2 + ((outline[:, 1] - 40) / 10) ** 2
    np.testing.assert_allclose(on_curve, 1)
    x, y = outline.T
    area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
    assert area == pytest.approx(np.pi * 200, rel=0.02)


def test_a_turned_ellipse_has_the_exact_box():
    (only,) = read(a_shape("ellipse", [50, 40, 70, 30], rotation=90.0)).by_frame[0]

    assert only.box == pytest.approx((40, 20, 60, 60))


def test_a_polygon_is_cut_to_the_image():
    (only,) = read(a_shape("polygon", [-20, 10, 20, 10, 20, 40, -20, 40])).by_frame[0]

    assert only.box == (0.0, 10.0, 20.0, 40.0)
    assert sorted(map(tuple, only.polygons[0].tolist())) == [
        (0.0, 10.0),
        (0.0, 40.0),
        (20.0, 10.0),
        (20.0, 40.0),
    ]


def test_a_polygon_cut_in_two_has_two_parts():
    """A U that hangs over the upper border."""
    points = [10, -10, 40, -10, 40, 20, 30, 20, 30, -5, 20, -5, 20, 20, 10, 20]

    (only,) = read(a_shape("polygon", points)).by_frame[0]

    assert len(only.polygons) == 2
    assert only.box == (10.0, 0.0, 40.0, 20.0)


def test_a_mask_keeps_its_pixels_and_has_a_tight_box():
    """Rows of the box 4..6 x 5..6 of which the first column is empty."""
    (only,) = read(a_shape("mask", [1, 2, 1, 2, 4, 5, 6, 6], label_id=2)).by_frame[0]

    assert (only.label, only.box) == ("nucleus", (5.0, 5.0, 7.0, 7.0))
    assert only.mask is not None
    assert (only.mask.left, only.mask.top, only.mask.bitmap.all()) == (5, 5, True)


def test_a_tag_has_no_place():
    tag = {"id": 3, "frame": 1, "label_id": 3, "source": "manual", "attributes": []}

    (only,) = read(tags=(tag,)).by_frame[1]

    assert (only.label, only.kind, only.box, only.cvat_id) == ("night", "tag", None, 3)


@pytest.mark.parametrize(
    ("shape", "kind", "reason"),
    [
        (a_shape("points", [1, 2]), "points", "points cannot be learned"),
        (a_shape("polyline", [1, 2, 3, 4]), "polyline", "polyline cannot be learned"),
        (a_shape("cuboid", [1.0] * 16), "cuboid", "cuboid cannot be learned"),
        (a_shape("skeleton", []), "skeleton", "skeleton cannot be learned"),
        (
            a_shape("mask", [0, 3, 1, 1, 2, 2]),
            "mask",
            "the numbers are no mask of CVAT's: encoded bitmap does not match encoded bounding box",
        ),
        (a_shape("mask", [0, 1, 200, 1, 200, 1]), "mask", "no pixel of it lies in the image"),
        (a_shape(points=[200, 1, 300, 9]), "rectangle", "it has no area in the image"),
        (a_shape(points=[5, 5, 5, 9]), "rectangle", "it has no area in the image"),
        (
            a_shape("polygon", [200, 1, 300, 1, 300, 9]),
            "polygon",
            "nothing of it lies in the image",
        ),
        (a_shape("polygon", [1, 1, 5, 5]), "polygon", "4 numbers are no polygon"),
        (a_shape(label_id=99), "rectangle", "label 99 is none of the project's"),
        (a_shape(frame=5000), "rectangle", "on a frame that the job does not hold"),
    ],
)
def test_what_cannot_be_learned_is_counted_with_its_reason(
    shape: dict[str, Any], kind: str, reason: str
):
    found = read(shape, shape, a_shape())

    assert found.left_out == (SkippedObjects(kind, reason, 2),)
    assert [one.kind for one in found.by_frame[0]] == ["rectangle"]


def test_deleted_frames_are_no_part_of_the_answer():
    """Their annotations stay in CVAT and are counted."""
    deleted = media(deleted=frozenset({1}))

    found = read(a_shape(frame=1), a_shape(frame=2), frames=range(4), media=deleted)

    assert list(found.by_frame) == [0, 2, 3]
    assert found.left_out == (SkippedObjects("rectangle", "on a deleted frame", 1),)


def a_track(**more: Any) -> dict[str, Any]:
    return {
        "id": 9,
        "frame": 0,
        "label_id": 1,
        "source": "semi-auto",
        "shapes": [
            {"type": "rectangle", "frame": 0, "points": [0, 0, 10, 10], "outside": False},
            {"type": "rectangle", "frame": 2, "points": [20, 0, 30, 10], "outside": False},
        ],
        "elements": [],
        **more,
    }


def test_a_track_is_an_object_on_every_frame():
    found = read(tracks=(a_track(),))

    assert [found.by_frame[n][0].box for n in range(4)] == [
        (0.0, 0.0, 10.0, 10.0),
        (10.0, 0.0, 20.0, 10.0),
        (20.0, 0.0, 30.0, 10.0),
        (20.0, 0.0, 30.0, 10.0),
    ]
    assert {
        (one.label, one.source, one.score, one.cvat_id, one.track_id)
        for objects in found.by_frame.values()
        for one in objects
    } == {("cell", "semi-auto", 1.0, 9, 9)}


def test_a_ground_truth_job_shows_a_track_only_on_its_own_frames():
    """Its frames are picked, and the motion between them is still the whole one's."""
    picked = Media(
        task_id=1,
        frames=(Frame(1, "1.png", WIDTH, HEIGHT), Frame(3, "3.png", WIDTH, HEIGHT)),
        deleted=frozenset(),
        storage="local",
        cloud_storage_id=None,
        is_video=False,
        chunk_size=36,
        included=frozenset({1, 3}),
    )

    found = read(tracks=(a_track(),), frames=range(4), media=picked)

    assert {number: objects[0].box for number, objects in found.by_frame.items()} == {
        1: (10.0, 0.0, 20.0, 10.0),
        3: (20.0, 0.0, 30.0, 10.0),
    }
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        (
            {"shapes": [{"type": "points", "frame": 0, "points": [1, 2], "outside": False}]},
            "track of points",
            "a track of points cannot be learned",
        ),
        (
            {"elements": [{"id": 1}], "shapes": [{"type": "skeleton", "frame": 0, "points": []}]},
            "track of skeleton",
            "skeletons cannot be learned",
        ),
        ({"label_id": 99}, "track of rectangle", "label 99 is none of the project's"),
    ],
)
def test_tracks_that_cannot_be_learned_are_counted_once(
    changes: dict[str, Any], kind: str, reason: str
):
    found = read(tracks=(a_track(**changes),))

    assert found.left_out == (SkippedObjects(kind, reason, 1),)
    assert all(objects == () for objects in found.by_frame.values())


def test_a_job_finished_without_any_object_is_a_valid_answer():
    found = read()

    assert found.by_frame == {0: (), 1: (), 2: (), 3: ()}
    assert found.left_out == ()
