"""Detections as shapes that fit a label's type."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cvat_bridge.cvat.gateway import Attribute, Frame, JobAnnotations, Label, Media
from cvat_bridge.shapes import rle
from cvat_bridge.shapes.convert import shapes_of_job
from cvat_bridge.shapes.detection_shapes import confidence_value, shape_from_detection
from trainer.detections import Mask

BOX = (10.126, 20.0, 30.5, 52.0)


def a_mask() -> Mask:
    """A filled L of 12 x 12 pixels at (10, 20)."""
    bitmap = np.zeros((12, 12), bool)
    bitmap[:, :5] = True
    bitmap[7:, :] = True
    return Mask(bitmap, 10, 20)


def written(label_type: str, **more: Any) -> dict[str, Any]:
    given = {
        "label": Label(4, "cell", label_type),
        "frame": 3,
        "box": BOX,
        "score": 0.87654321,
        "width": 100,
        "height": 80,
        **more,
    }
    return shape_from_detection(**given)


def test_it_is_an_automatic_shape_with_its_score():
    shape = written("rectangle")

    assert shape["type"] == "rectangle"
    assert shape["points"] == [10.13, 20.0, 30.5, 52.0]
    assert (shape["source"], shape["score"]) == ("auto", 0.8765)
    assert (shape["frame"], shape["label_id"], shape["attributes"]) == (3, 4, [])
    assert "id" not in shape


@pytest.mark.parametrize(
    ("label_type", "more", "kind"),
    [
        ("rectangle", {"mask": a_mask()}, "rectangle"),
        ("polygon", {"mask": a_mask()}, "polygon"),
        ("mask", {"polygon": np.array([[10.0, 20.0], [22.0, 20.0], [10.0, 32.0]])}, "mask"),
        ("mask", {"mask": a_mask()}, "mask"),
        ("ellipse", {}, "ellipse"),
        ("any", {}, "rectangle"),
        ("any", {"polygon": np.array([[10.0, 20.0], [22.0, 20.0], [10.0, 32.0]])}, "polygon"),
        ("any", {"mask": a_mask()}, "mask"),
    ],
)
def test_the_shape_fits_the_label(label_type: str, more: dict[str, Any], kind: str):
    assert written(label_type, **more)["type"] == kind


def test_a_mask_arrives_pixel_for_pixel():
    back = rle.decode(written("mask", mask=a_mask())["points"])

    assert (back.left, back.top) == (10, 20)
    np.testing.assert_array_equal(back.bitmap, a_mask().bitmap)


def test_a_masks_outline_covers_nearly_the_same_pixels():
    points = np.array(written("polygon", mask=a_mask())["points"]).reshape(-1, 2)

    drawn = rle.fill([points], 100, 80)

    assert drawn is not None
    ours, theirs = np.zeros((80, 100), bool), np.zeros((80, 100), bool)
    ours[20:32, 10:22] = a_mask().bitmap
    rows, columns = drawn.bitmap.shape
    theirs[drawn.top : drawn.top + rows, drawn.left : drawn.left + columns] = drawn.bitmap
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9


def test_of_a_mask_in_parts_a_polygon_takes_the_largest():
    bitmap = np.zeros((10, 40), bool)
    bitmap[:, :5] = True
    bitmap[:, 20:] = True

    points = np.array(written("polygon", mask=Mask(bitmap, 10, 20))["points"]).reshape(-1, 2)

    assert points[:, 0].min() >= 29
    assert points[:, 0].max() <= 51


@pytest.mark.parametrize("label_type", ["polygon", "mask"])
def test_a_box_alone_is_no_mask_and_no_outline(label_type: str):
    with pytest.raises(ValueError, match=f"'cell' is of type {label_type}.*a box alone"):
        written(label_type)


def test_of_a_mask_outside_of_the_image_there_is_no_polygon():
    with pytest.raises(ValueError, match="outline"):
        written("polygon", mask=Mask(np.zeros((4, 4), bool), 10, 20))


def test_a_box_as_an_ellipse_is_read_back_as_the_box():
    shape = {**written("ellipse", box=(10, 20, 30, 50)), "id": 1}
    label = Label(4, "cell", "ellipse")
    media = Media(1, (Frame(3, "a.png", 100, 80),), frozenset(), "local", None, False, 36)

    found = shapes_of_job(JobAnnotations(shapes=(shape,)), labels=(label,), media=media, frames=[3])

    assert shape["points"] == [20.0, 35.0, 30.0, 20.0]
    assert found.by_frame[3][0].box == pytest.approx((10, 20, 30, 50))


def test_what_leaves_the_image_is_cut():
    rectangle = written("rectangle", box=(-5, -5, 500, 500))
    mask = rle.decode(written("mask", mask=Mask(np.ones((10, 10), bool), 95, 75))["points"])

    assert rectangle["points"] == [0.0, 0.0, 100.0, 80.0]
    assert (mask.left, mask.top, mask.bitmap.shape) == (95, 75, (5, 5))


@pytest.mark.parametrize("box", [(5, 5, 5, 9), (200, 5, 300, 9), (9, 9, 5, 5)])
def test_a_detection_without_area_in_the_image_is_refused(box: tuple[float, ...]):
    with pytest.raises(ValueError, match="no area"):
        written("rectangle", box=box)


def test_an_empty_mask_is_refused():
    with pytest.raises(ValueError, match="no pixel"):
        written("mask", mask=Mask(np.zeros((4, 4), bool), 10, 20))


@pytest.mark.parametrize("label_type", ["points", "polyline", "cuboid", "skeleton", "tag"])
def test_label_types_that_no_detection_fits_are_named(label_type: str):
    with pytest.raises(ValueError, match=f"'cell' is of type {label_type}"):
        written(label_type)


def test_the_attribute_confidence_shows_the_score():
    """Other attributes are left to their defaults."""
    label = Label(
        4,
        "cell",
        "rectangle",
        (Attribute(7, "colour", "text"), Attribute(8, "confidence", "number", ("0", "100", "1"))),
    )

    assert written("rectangle", label=label)["attributes"] == [{"spec_id": 8, "value": "88"}]


@pytest.mark.parametrize(
    ("input_type", "values", "expected"),
    [
        ("text", (), "0.88"),
        ("number", ("0", "100", "1"), "88"),
        ("number", ("0", "100", "5"), "90"),
        ("number", ("0", "1", "0.05"), "0.9"),
        ("select", ("0", "50", "100"), "100"),
        ("radio", ("0.1", "0.5", "0.9"), "0.9"),
        ("select", ("low", "high"), None),
        ("checkbox", ("false",), None),
    ],
)
def test_a_score_in_every_kind_of_attribute(
    input_type: str, values: tuple[str, ...], expected: str | None
):
    assert confidence_value(Attribute(1, "confidence", input_type, values), 0.876) == expected
