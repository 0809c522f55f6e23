"""Tracks frame by frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cvat_bridge.shapes.tracks import UnknownTrackError, shapes_of_track
from cvat_bridge.shapes.tween import polygon_between

RECORDED = json.loads(
    (Path(__file__).parents[1] / "recordings" / "polygon_tracks.json").read_text()
)["cases"]


def key(frame: int, points: list[float], **more: Any) -> dict[str, Any]:
    return {
        "type": "rectangle",
        "frame": frame,
        "points": points,
        "outside": False,
        "rotation": 0.0,
        **more,
    }


def track(*shapes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 8, "label_id": 33, "frame": shapes[0]["frame"], "shapes": list(shapes), **more}


def boxes(found: Any) -> dict[int, list[float]]:
    return {shape["frame"]: shape["points"] for shape in found}


def test_a_recorded_track_has_cvats_boxes_at_the_job_borders():
    """A real CVAT split this track at frames 3, 6 and 8 and wrote down what it had there."""
    whole = track(
        key(0, [5, 10, 25, 30]),
        key(5, [30, 10, 50, 30]),
        key(11, [60, 10, 80, 30], outside=True),
    )

    found = boxes(shapes_of_track(whole, last_frame=11))

    assert sorted(found) == list(range(11))
    assert found[3] == [20.0, 10.0, 40.0, 30.0]
    assert found[6] == [35.0, 10.0, 55.0, 30.0]
    assert found[8] == [45.0, 10.0, 65.0, 30.0]


def test_after_its_last_keyframe_a_track_stands_still():
    found = list(shapes_of_track(track(key(2, [1, 2, 3, 4])), last_frame=4))

    assert boxes(found) == {frame: [1, 2, 3, 4] for frame in (2, 3, 4)}
    assert [shape["keyframe"] for shape in found] == [True, False, False]


def test_outside_hides_until_the_next_keyframe():
    whole = track(
        key(0, [0, 0, 1, 1]),
        key(2, [2, 0, 3, 1], outside=True),
        key(5, [5, 0, 6, 1]),
        key(6, [9, 0, 10, 1], outside=True),
    )

    assert sorted(boxes(shapes_of_track(whole, last_frame=9))) == [0, 1, 5]


def test_a_keyframe_on_a_deleted_frame_does_not_count():
    """The motion goes straight from the keyframe before to the one after."""
    whole = track(key(0, [0, 0, 4, 4]), key(2, [50, 50, 60, 60]), key(4, [8, 0, 12, 4]))

    found = boxes(shapes_of_track(whole, last_frame=5, deleted={2, 5}))

    assert sorted(found) == [0, 1, 3, 4]
    assert found[1] == [2.0, 0.0, 6.0, 4.0]


def test_keyframes_after_the_last_frame_still_lead_the_motion():
    whole = track(key(0, [0, 0, 4, 4]), key(8, [8, 0, 12, 4]))

    assert boxes(shapes_of_track(whole, last_frame=2))[2] == [2.0, 0.0, 6.0, 4.0]


def test_turning_takes_the_shorter_way():
    whole = track(key(0, [0, 0, 4, 4], rotation=350.0), key(4, [0, 0, 4, 4], rotation=30.0))

    found = {shape["frame"]: shape["rotation"] for shape in shapes_of_track(whole, last_frame=4)}

    assert found == {0: 350.0, 1: 0.0, 2: 10.0, 3: 20.0, 4: 30.0}


def test_ellipses_move_in_a_straight_line():
    whole = track(key(0, [10, 10, 14, 8], type="ellipse"), key(2, [20, 10, 26, 6], type="ellipse"))

    assert boxes(shapes_of_track(whole, last_frame=2))[1] == [15.0, 10.0, 20.0, 7.0]


@pytest.mark.parametrize("case", RECORDED)
def test_polygons_between_keyframes_are_cvats(case: dict[str, Any]):
    left, right = (np.array(case[side], float).reshape(-1, 2) for side in ("left", "right"))
    step, steps = case["share"]

    found = polygon_between(left, right, step / steps)

    assert found.shape == (len(case["points"]) // 2, 2)
    np.testing.assert_allclose(found.ravel(), case["points"], atol=1e-5)


def test_a_polygon_track_uses_them():
    case = RECORDED[0]
    step, steps = case["share"]
    whole = track(key(0, case["left"], type="polygon"), key(steps, case["right"], type="polygon"))

    found = boxes(shapes_of_track(whole, last_frame=steps))

    assert found[step] == pytest.approx(case["points"])
    assert found[0] == case["left"]


@pytest.mark.parametrize("kind", ["mask", "points", "polyline", "cuboid", "skeleton"])
def test_kinds_without_a_form_between_keyframes_are_named(kind: str):
    whole = track(key(0, [1, 2], type=kind), key(4, [1, 2], type=kind))

    with pytest.raises(UnknownTrackError, match=kind):
        list(shapes_of_track(whole, last_frame=4))


def test_a_track_without_a_keyframe_shows_nothing():
    bare = {"id": 1, "label_id": 1, "frame": 0, "shapes": []}

    assert list(shapes_of_track(bare, last_frame=4)) == []
