"""Disagreement between passes and between models, by hand."""

from __future__ import annotations

from math import log, log2

import numpy as np
import pytest

from active_learning.errors import InvalidPoolError
from active_learning.measures.boxes import iou
from active_learning.measures.disagreement import (
    between_passes,
    jensen_shannon,
    localisation,
    mutual_information,
    unflip,
)

SQUARE = [0.0, 0.0, 10.0, 10.0]
HALF = [0.0, 0.0, 10.0, 5.0]
AWAY = [50.0, 50.0, 60.0, 60.0]


def test_iou_by_hand():
    found = iou(np.array([SQUARE, AWAY]), np.array([SQUARE, HALF, [5.0, 5.0, 15.0, 15.0]]))

    assert found == pytest.approx(np.array([[1, 0.5, 25 / 175], [0, 0, 0]]))


def test_a_box_without_area_overlaps_nothing():
    point = np.array([[3.0, 3.0, 3.0, 3.0]])

    assert iou(point, point) == pytest.approx(0)


def test_passes_that_agree_differ_by_nothing():
    boxes, rows = np.array([SQUARE]), np.array([[0.8, 0.1]])

    assert between_passes(boxes, rows, [(boxes, rows), (boxes, rows)]) == pytest.approx([0])


def test_box_and_class_each_count_half():
    """The pass halves the box (IoU 0.5) and turns a sure yes into a sure no (JS of one bit)."""
    found = between_passes(
        np.array([SQUARE]), np.array([[1.0]]), [(np.array([HALF]), np.array([[0.0]]))]
    )

    assert found == pytest.approx([(0.5 + 1) / 2])


def test_an_object_that_a_pass_lost_differs_by_one():
    rows = np.array([[0.9]])
    lost = (np.zeros((0, 4)), np.zeros((0, 1)))

    assert between_passes(np.array([SQUARE]), rows, [(np.array([AWAY]), rows)]) == pytest.approx(1)
    assert between_passes(np.array([SQUARE]), rows, [lost]) == pytest.approx([1])


def test_passes_are_averaged():
    boxes, rows = np.array([SQUARE]), np.array([[0.9]])

    found = between_passes(boxes, rows, [(boxes, rows), (np.array([AWAY]), rows)])

    assert found == pytest.approx([0.5])


def test_no_pass_is_an_error_not_an_agreement():
    with pytest.raises(InvalidPoolError, match="at least one other pass"):
        between_passes(np.array([SQUARE]), np.array([[0.9]]), [])


def test_jensen_shannon_by_hand():
    """p = (1, 0), q = (1/2, 1/2): H(3/4, 1/4) - H(q) / 2."""
    expected = -0.75 * log2(0.75) - 0.25 * log2(0.25) - 0.5

    found = jensen_shannon(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))

    assert found == pytest.approx([expected])


def test_mutual_information_by_hand():
    """Two models sure of different classes share nothing: all of ln 2. Two unsure ones agree."""
    split = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    unsure = np.array([[[0.5, 0.5]], [[0.5, 0.5]]])
    mixed = np.array([[[0.9, 0.1]], [[0.5, 0.5]]])
    gain = (-0.7 * log(0.7) - 0.3 * log(0.3)) - (-0.9 * log(0.9) - 0.1 * log(0.1) + log(2)) / 2

    assert mutual_information(split) == pytest.approx([1])
    assert mutual_information(unsure) == pytest.approx([0])
    assert mutual_information(mixed) == pytest.approx([gain / log(2)])


def test_mutual_information_of_a_sigmoid_head_takes_the_most_contested_class():
    passes = np.array([[[0.5, 1.0]], [[0.5, 0.0]]])

    assert mutual_information(passes, head="sigmoid") == pytest.approx([1])


def test_one_model_has_no_mutual_information():
    with pytest.raises(InvalidPoolError, match="T of 2 or more"):
        mutual_information(np.full((1, 3, 2), 0.5))


def test_localisation_by_hand():
    """Two boxes 10 wide, 10 and 6 high; their mean is 8 high: IoU 8/10 and 6/8."""
    boxes = np.array([[[0.0, 0.0, 10.0, 10.0]], [[0.0, 0.0, 10.0, 6.0]]])

    assert localisation(boxes) == pytest.approx([1 - (0.8 + 0.75) / 2])


def test_unflip_maps_a_mirrored_box_back():
    assert list(unflip(np.array([[10.0, 5.0, 30.0, 15.0]]), 100)[0]) == [70, 5, 90, 15]
