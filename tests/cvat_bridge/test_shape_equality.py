"""When two annotations are the same."""

from __future__ import annotations

from typing import Any

import pytest

from cvat_bridge.cvat.shape_equality import missing_shapes, missing_tags, written


def a_shape(**changes: Any) -> dict[str, Any]:
    return {
        "type": "rectangle",
        "frame": 0,
        "label_id": 1,
        "points": [1, 2.5, 3, 4],
        "source": "auto",
        **changes,
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"frame": 1},
        {"label_id": 2},
        {"type": "ellipse"},
        {"points": [1, 2.5, 3, 4.01]},
        {"source": "manual"},
        {"elements": [a_shape(type="points", points=[1, 1])]},
    ],
)
def test_each_part_of_the_name_tells_shapes_apart(changes: dict[str, Any]):
    other = a_shape(**changes)

    assert missing_shapes([other], [a_shape()]) == [other]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": 7, "score": 0.2, "group": 3, "attributes": [{"spec_id": 1, "value": "x"}]},
        {"points": [1.0, 2.5, 3.0, 4.0000001]},
        {"elements": []},
    ],
)
def test_what_cvat_adds_makes_no_other_shape(changes: dict[str, Any]):
    assert missing_shapes([a_shape()], [a_shape(**changes)]) == []


def test_a_source_left_out_is_manual():
    without = {key: value for key, value in a_shape().items() if key != "source"}

    assert missing_shapes([without], [a_shape(source="manual")]) == []


def test_equal_ones_among_the_wanted_are_written_once():
    assert missing_shapes([a_shape(), a_shape()], []) == [a_shape()]
    tag = {"frame": 1, "label_id": 2, "source": "auto"}
    assert missing_tags([tag, dict(tag)], [{"frame": 2, "label_id": 2, "source": "auto"}]) == [tag]


def test_answers_stand_in_the_order_of_the_questions():
    one, two = a_shape(), a_shape(frame=1)
    held = [{**two, "id": 8}, {**one, "id": 9}]

    found = written(shapes=[one, two, one], tags=[], held_shapes=held, held_tags=[])

    assert [shape["id"] for shape in found.shapes] == [9, 8, 9]
    with pytest.raises(KeyError):
        written(shapes=[a_shape(frame=5)], tags=[], held_shapes=held, held_tags=[])
