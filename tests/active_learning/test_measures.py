"""Every measure against its formula, worked out by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from active_learning.errors import InvalidPoolError
from active_learning.measures.uncertainty import (
    certainty,
    classification,
    disagreement,
    entropy,
    least_confidence,
    likely_miss,
    map_entropy,
    margin,
)
from active_learning.pool import Objects


def objects(rows: list[list[float]], head: str) -> Objects:
    return Objects(np.array([0, len(rows)]), np.array(rows), head=head)


SOFT = objects([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0], [0.4, 0.1, 0.0]], "softmax")
SIGMOID = objects([[0.5, 0.1], [0.9, 0.85], [0.2, 0.0], [1.0, 0.0]], "sigmoid")
ONE_CLASS = objects([[0.3], [0.5], [1.0]], "sigmoid")


@pytest.mark.parametrize(
    ("measure", "given", "expected"),
    [
        # The third softmax row lacks 0.5 of 1: the background, which is its most likely answer.
        (least_confidence, SOFT, [0.5, 0.0, 0.5]),
        (least_confidence, SIGMOID, [1.0, 0.3, 0.4, 0.0]),
        (least_confidence, ONE_CLASS, [0.6, 1.0, 0.0]),
        (margin, SOFT, [1 - 0.2, 0.0, 1 - 0.1]),
        # Rivals of the winner: next class or "no object": .5 v .5, .9 v .85, .2 v .8, 1 v 0.
        (margin, SIGMOID, [1.0, 0.95, 0.4, 0.0]),
        (margin, ONE_CLASS, [0.6, 1.0, 0.0]),
        (
            entropy,
            SOFT,
            [
                -0.5 * log(0.5) - 0.3 * log(0.3) - 0.2 * log(0.2),
                0.0,
                -0.4 * log(0.4) - 0.1 * log(0.1) - 0.5 * log(0.5),
            ],
        ),
        (
            entropy,
            SIGMOID,
            [
                log(2) - 0.1 * log(0.1) - 0.9 * log(0.9),
                -0.9 * log(0.9) - 0.1 * log(0.1) - 0.85 * log(0.85) - 0.15 * log(0.15),
                -0.2 * log(0.2) - 0.8 * log(0.8),
                0.0,
            ],
        ),
        (likely_miss, SIGMOID, [0.0, 0.0, 0.2, 0.0]),
        (certainty, SIGMOID, [0.5, 0.9, 0.2, 1.0]),
    ],
)
def test_formula_by_hand(measure, given, expected):
    assert measure(given) == pytest.approx(expected, abs=1e-12)


def test_float32_rows_just_above_one_stay_finite():
    """Rounding puts a float32 probability a hair above 1; its logarithm must not become NaN."""
    row = np.array([[1.0000001, 0.0]], np.float32)

    assert entropy(Objects(np.array([0, 1]), row)) == pytest.approx([0], abs=1e-5)


def test_disagreement_reads_what_the_passes_said():
    given = Objects(np.array([0, 2]), np.full((2, 1), 0.5), disagreement=np.array([0.1, 0.7]))

    assert list(disagreement(given)) == [0.1, 0.7]


def test_disagreement_without_passes_says_what_to_do():
    with pytest.raises(InvalidPoolError, match="predict the pool with flips"):
        disagreement(SIGMOID)


def test_sigmoid_rows_passed_off_as_softmax_are_refused():
    with pytest.raises(InvalidPoolError, match="row 1 sums to 1.75"):
        objects([[0.5, 0.1], [0.9, 0.85]], "softmax")


def test_map_entropy_is_the_mean_over_pixels():
    sure, even = [1.0, 0.0], [0.5, 0.5]
    pixels = np.array([[sure, even], [sure, sure]]).transpose(2, 0, 1)

    assert map_entropy(pixels) == pytest.approx(log(2) / 4)
    assert map_entropy(pixels, share=0.5) == pytest.approx(log(2) / 2)


@pytest.mark.parametrize("share", [0, 1.5])
def test_map_entropy_refuses_a_share_out_of_range(share):
    with pytest.raises(InvalidPoolError, match="share"):
        map_entropy(np.full((2, 2, 2), 0.5), share=share)


def test_classification_sees_one_object_a_frame():
    whole = classification(np.array([[0.6, 0.4], [0.9, 0.1]]))

    assert list(whole.offsets) == [0, 1, 2]
    assert entropy(whole)[0] == pytest.approx(-0.6 * log(0.6) - 0.4 * log(0.4))
