"""CVAT's requests: what is read of them, and what is refused in which words."""

import base64

import numpy as np
import pytest

from serverless.errors import BadRequestError
from serverless.wire.requests import (
    cvat_version,
    detector_request,
    interactor_request,
    parse,
    pixels,
)
from tests.serverless.fakes import png, request


def test_a_body_is_read_parsed_or_not():
    expected = {"a": 1}

    assert parse({"a": 1}) == parse(b'{"a": 1}') == parse('{"a": 1}') == expected


@pytest.mark.parametrize(
    ("body", "says"),
    [(b"{", "not JSON"), (b"\xff", "not JSON"), (b"[]", "found list"), (None, "found NoneType")],
)
def test_a_body_that_is_no_object_is_refused(body, says):
    with pytest.raises(BadRequestError, match=says):
        parse(body)


def test_the_image_comes_back_as_the_bytes_that_were_sent():
    found = detector_request(request(png(7, 5)))

    assert found.image == png(7, 5)
    assert pixels(found.image).shape == (5, 7, 3)
    assert found.threshold is None


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (None, "image must be"),
        ("", "image must be"),
        (5, "image must be"),
        ("a*b", "not base64"),
        ("YWJj=YW", "not base64"),
    ],
)
def test_an_image_that_is_no_base64_is_refused(image, says):
    with pytest.raises(BadRequestError, match=says):
        detector_request({"image": image})


def test_bytes_that_are_no_image_are_a_bad_request():
    body = {"image": base64.b64encode(b"hello").decode()}

    with pytest.raises(BadRequestError):
        pixels(detector_request(body).image)


@pytest.mark.parametrize("threshold", [0, 0.0, 0.4, 1])
def test_a_threshold_is_taken_even_where_it_is_zero(threshold):
    assert detector_request(request(threshold=threshold)).threshold == threshold


@pytest.mark.parametrize("threshold", ["x", 1.5, -1, True, [0.5], float("nan")])
def test_a_threshold_that_cvat_passes_on_unchecked_is_refused(threshold):
    with pytest.raises(BadRequestError, match="threshold must be a number in 0..1"):
        detector_request(request(threshold=threshold))


def test_clicks_come_in_order_and_an_empty_box_is_none():
    found = interactor_request(request(pos_points=[[3.5, 4], [1, 2]], neg_points=[], obj_bbox=[]))

    np.testing.assert_array_equal(found.positive, [[3.5, 4], [1, 2]])
    assert found.negative.shape == (0, 2)
    assert found.box is None


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([[1, 2], [30, 40]], [1, 2, 30, 40]),
        ([[30, 2], [1, 40]], [1, 2, 30, 40]),
        ([[0, 0], [1, 1], [5, 6], [7, 8]], [5, 6, 7, 8]),
        (None, None),
    ],
)
def test_a_box_is_ordered_and_the_last_of_several_holds(sent, expected):
    box = interactor_request(request(pos_points=[], neg_points=[], obj_bbox=sent)).box

    assert (None if box is None else box.tolist()) == expected


@pytest.mark.parametrize(
    "points", [5, [[1]], [[1, 2, 3]], [["1", 2]], [[1, float("inf")]], [{"x": 1}], [[True, 1]]]
)
def test_clicks_of_another_form_are_refused(points):
    with pytest.raises(BadRequestError, match="pos_points"):
        interactor_request(request(pos_points=points, neg_points=[]))


def test_half_a_box_is_refused():
    with pytest.raises(BadRequestError, match="pairs of corners"):
        interactor_request(request(pos_points=[], neg_points=[], obj_bbox=[[1, 2]]))


@pytest.mark.parametrize(
    ("agent", "version"),
    [
        ("CVAT/2.73.0 python-requests/2.33.1", (2, 73)),
        ("CVAT/2.5.2", (2, 5)),
        ("curl/8", None),
        ("", None),
        (None, None),
    ],
)
def test_the_version_is_read_from_the_user_agent(agent, version):
    assert cvat_version(agent) == version
