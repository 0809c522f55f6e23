"""A model's findings in CVAT's words, read back by the rules CVAT applies."""

import json

import numpy as np
import pytest
from cvat_sdk.masks import decode_mask, encode_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from serverless.errors import ModelError
from serverless.store.confidence import ConfidenceForm
from serverless.store.describe import label_spec
from serverless.store.functions import FunctionLabel
from serverless.wire.answers import Candidate, detector_answer, interactor_answer, rle
from tests.serverless.fakes import CLASSES, detections, square
from trainer.detections import Mask, clip_mask

SIZE = (30, 40)


def labels(kind: str) -> tuple[FunctionLabel, ...]:
    return (FunctionLabel("cell", "Cell", kind), FunctionLabel("platelet", "Platelet", kind))


def answer(found, kind="rectangle", **changes):
    values = {"classes": CLASSES, "labels": labels(kind), "size": SIZE, "min_score": 0.0}
    return detector_answer(found, **(values | changes))


def test_a_box_becomes_a_rectangle_with_its_confidence_as_text():
    items = answer(detections((1, 2, 11.127, 12, 0.91, 1)))

    assert items == [
        {
            "label": "Platelet",
            "confidence": "0.9100",
            "attributes": [{"name": "confidence", "value": "0.91"}],
            "type": "rectangle",
            "points": [1.0, 2.0, 11.13, 12.0],
        }
    ]


@pytest.mark.parametrize(
    ("input_type", "values", "expected"),
    [
        ("text", (), "0.91"),
        ("number", ("0", "100", "1"), "91"),
        ("number", ("1", "5", "1"), "5"),
        ("select", ("0.25", "0.5", "0.75"), "0.75"),
        ("radio", ("low", "high"), None),
        ("checkbox", (), None),
        ("number", ("0", "1", "0.01"), None),
    ],
)
def test_the_confidence_fits_the_labels_own_attribute(input_type, values, expected):
    """CVAT drops what does not fit; a number of broken steps would fail its whole call."""
    shown = (FunctionLabel("cell", "Cell", confidence=ConfidenceForm(input_type, values)),)

    (item,) = answer(detections((1, 2, 9, 9, 0.91, 0)), labels=shown)
    (told,) = json.loads(label_spec(shown))

    assert [one["value"] for one in item["attributes"]] == ([expected] if expected else [])
    assert [one["input_type"] for one in told["attributes"]] == ([input_type] if expected else [])


def test_nothing_found_is_an_empty_list():
    assert answer(detections()) == []


def test_a_class_id_outside_the_label_map_raises():
    with pytest.raises(ModelError, match="no class id 7"):
        answer(detections((1, 2, 3, 4, 0.9, 7)))


def test_a_class_without_a_label_is_not_shown():
    found = detections((1, 2, 3, 4, 0.9, 0), (1, 2, 3, 4, 0.8, 1))

    assert [item["label"] for item in answer(found, labels=labels("any")[1:])] == ["Platelet"]


def test_each_class_has_its_own_least_score():
    found = detections((1, 2, 9, 9, 0.5, 0), (1, 2, 9, 9, 0.5, 1), (1, 2, 9, 9, 0.6, 0))

    items = answer(found, min_score={"cell": 0.6, "platelet": 0.5})

    assert [(item["label"], item["confidence"]) for item in items] == [
        ("Platelet", "0.5000"),
        ("Cell", "0.6000"),
    ]


@pytest.mark.parametrize("kind", ["rectangle", "any"])
def test_a_box_past_the_border_is_cut_to_the_image(kind):
    (item,) = answer(detections((-5, 20, 50, 37, 0.9, 0)), kind)

    assert (item["type"], item["points"]) == ("rectangle", [0, 20, 40, 30])


def test_an_ellipse_lies_in_the_box():
    """In CVAT's form: the middle, the right edge, the upper edge."""
    (item,) = answer(detections((4, 6, 24, 16, 0.9, 0)), "ellipse")

    assert (item["type"], item["points"], item["rotation"]) == ("ellipse", [14, 11, 24, 6], 0)


@pytest.mark.parametrize("kind", ["polygon", "mask"])
def test_boxes_shown_as_masks_are_drawn_and_never_filled(kind):
    """Asked once, for what is shown; a box in which nothing is drawn is not sent."""
    asked = []
    bitmap = np.tri(8, 8, dtype=bool)

    def draw(boxes):
        asked.append(boxes.tolist())
        return [Mask(bitmap, 5, 4), None]

    rows = (5, 4, 13, 12, 0.9, 0), (20, 4, 28, 12, 0.8, 1), (1, 1, 9, 9, 0.2, 0)
    (item,) = answer(detections(*rows), kind, draw=draw, min_score=0.5)

    assert asked == [[[5, 4, 13, 12], [20, 4, 28, 12]]]
    assert (item["label"], item["type"]) == ("Cell", kind)
    if kind == "mask":
        assert item["mask"] == [*bitmap.ravel().astype(int).tolist(), 5, 4, 12, 11]
    corners = np.array(item["points"]).reshape(-1, 2)
    assert not {(13, 4)} & {tuple(corner) for corner in corners.tolist()}


def test_without_anything_that_draws_boxes_are_refused_as_masks():
    """Silence would look as if the model had found nothing."""
    with pytest.raises(ModelError, match="no interactor"):
        answer(detections((1, 2, 9, 9, 0.9, 0)), "mask")
    assert answer(detections(), "mask") == []


def test_rectangles_beside_masks_need_no_drawing():
    mixed = (FunctionLabel("cell", "Cell", "rectangle"), FunctionLabel("platelet", "P", "mask"))
    found = detections((1, 2, 9, 9, 0.9, 0), (1, 2, 9, 9, 0.8, 1))

    items = answer(found, labels=mixed, draw=lambda boxes: [None] * len(boxes))

    assert [item["type"] for item in items] == ["rectangle"]


def test_a_box_outside_the_image_is_not_sent():
    assert answer(detections((50, 5, 60, 9, 0.9, 0))) == []


def test_a_mask_has_its_bitmap_an_inclusive_box_and_a_polygon_beside_it():
    found = detections((5, 4, 11, 10, 0.9, 0), masks=(square(),))

    (item,) = answer(found, "mask")

    assert item["mask"] == [1] * 36 + [5, 4, 10, 9]
    corners = {(x, y) for x, y in zip(item["points"][0::2], item["points"][1::2], strict=True)}
    assert corners == {(5, 4), (11, 4), (11, 10), (5, 10)}


def test_a_mask_on_a_rectangle_label_is_its_box_and_on_any_a_mask():
    found = detections((5, 4, 11, 10, 0.9, 0), masks=(square(),))

    assert [i["type"] for i in answer(found, "rectangle")] == ["rectangle"]
    assert [i["type"] for i in answer(found, "any")] == ["mask"]


def test_an_object_of_two_parts_is_two_polygons_of_one_group():
    bitmap = np.zeros((12, 30), bool)
    bitmap[:, :12] = bitmap[:, 18:] = True
    other = square(8, left=0, top=20)
    found = detections(
        (1, 2, 31, 14, 0.9, 0), (0, 20, 8, 28, 0.8, 1), masks=(Mask(bitmap, 1, 2), other)
    )

    items = answer(found, "polygon")

    assert [(item["type"], item.get("group_id")) for item in items] == [
        ("polygon", 1),
        ("polygon", 1),
        ("polygon", None),
    ]


def test_an_empty_mask_is_not_sent():
    found = detections((5, 4, 11, 10, 0.9, 0), masks=(Mask(np.zeros((6, 6), bool), 5, 4),))

    assert answer(found, "mask") == []


@given(
    arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)),
    st.integers(-14, 40),
    st.integers(-14, 30),
)
def test_a_mask_anywhere_is_cut_to_what_cvat_can_decode(bitmap, left, top):
    frame = np.zeros(SIZE, bool)
    for (row, column), value in np.ndenumerate(bitmap):
        if value and 0 <= top + row < SIZE[0] and 0 <= left + column < SIZE[1]:
            frame[top + row, left + column] = True

    found = clip_mask(Mask(bitmap, left, top), SIZE)

    if not frame.any():
        assert found is None
        return
    assert found is not None
    assert rle(found) == encode_mask(frame)
    np.testing.assert_array_equal(
        decode_mask(rle(found), image_width=SIZE[1], image_height=SIZE[0]), frame
    )


def test_cvat_from_2_60_gets_shapes_with_the_confidence_best_first():
    answered = interactor_answer(
        [Candidate(square(2), 0.4), Candidate(square(3), 0.95)],
        size=SIZE,
        user_agent="CVAT/2.60.1 python-requests/2",
    )

    assert answered == {
        "shapes": [
            {
                "type": "mask",
                "points": [0, 9, 5, 4, 7, 6],
                "attributes": [{"spec_id": 0, "value": "0.9500"}],
            },
            {
                "type": "mask",
                "points": [0, 4, 5, 4, 6, 5],
                "attributes": [{"spec_id": 0, "value": "0.4000"}],
            },
        ]
    }


def test_cvat_before_2_60_gets_the_best_mask_over_the_full_frame():
    answered = interactor_answer(
        [Candidate(square(2), 0.4), Candidate(square(3), 0.95)],
        size=SIZE,
        user_agent="CVAT/2.59.1",
    )

    expected = np.zeros(SIZE, int)
    expected[4:7, 5:8] = 1
    assert answered == {"mask": expected.tolist()}


def test_an_interactor_that_finds_nothing_says_so_in_both_forms():
    outside = Candidate(square(left=100), 0.9)

    assert interactor_answer([outside], size=SIZE, user_agent=None) == {"shapes": []}
    old = interactor_answer([], size=(2, 3), user_agent="CVAT/2.30.0")
    assert old == {"mask": [[0, 0, 0], [0, 0, 0]]}
