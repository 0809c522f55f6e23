"""From objects to frames: each aggregation by hand, and where empty frames stand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from active_learning.errors import InvalidPoolError
from active_learning.measures.aggregate import frame_values

VALUES = np.array([0.1, 0.5, 0.3, 0.2, 0.9])
OFFSETS = np.array([0, 4, 4, 5, 5])  # four objects, none, one, none


@pytest.mark.parametrize(
    ("aggregation", "k", "expected"),
    [
        ("max", 3, [0.5, 0.5, 0.9, 0.5]),
        ("sum", 3, [1.1, 0.9, 0.9, 0.9]),
        ("capped_sum", 3, [0.8, 0.8, 0.9, 0.8]),  # four objects and one: the median is two
        ("mean", 3, [1.1 / 4, 1.1 / 4, 0.9, 1.1 / 4]),
        ("topk_mean", 3, [1.0 / 3, 1.0 / 3, 0.9, 1.0 / 3]),
        ("topk_mean", 1, [0.5, 0.5, 0.9, 0.5]),
        ("topk_mean", 9, [1.1 / 4, 1.1 / 4, 0.9, 1.1 / 4]),
    ],
)
def test_by_hand_with_empty_frames_level_with_the_least(aggregation, k, expected):
    found = frame_values(VALUES, OFFSETS, aggregation=aggregation, k=k)

    assert found == pytest.approx(expected)


@pytest.mark.parametrize(("place", "expected"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
def test_empty_frames_stand_at_the_quantile_asked_for(place, expected):
    found = frame_values(VALUES, OFFSETS, aggregation="max", empty_frame_quantile=place)

    assert found == pytest.approx([0.5, expected, 0.9, expected])


def test_weights_multiply_objects_before_they_are_added_up():
    weights = np.array([1.0, 1.0, 1.0, 10.0, 1.0])

    assert frame_values(VALUES, OFFSETS, aggregation="max", weights=weights)[0] == pytest.approx(2)


def test_no_object_anywhere_makes_all_frames_equal():
    found = frame_values(np.zeros(0), np.zeros(4, int), aggregation="topk_mean")

    assert list(found) == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"aggregation": "median"}, "no aggregation 'median'; there are capped_sum, max, mean"),
        ({"k": 0}, "k of topk_mean"),
        ({"empty_frame_quantile": 1.2}, "empty_frame_quantile"),
        ({"weights": np.array([1, 1, np.nan, 1, 1])}, "object row 2 is not finite"),
    ],
)
def test_bad_settings_raise(change, message):
    with pytest.raises(InvalidPoolError, match=message):
        frame_values(VALUES, OFFSETS, **({"aggregation": "max"} | change))


@pytest.mark.parametrize("k", [1, 3, 8, 9, 30])
def test_topk_mean_is_the_mean_of_the_largest_with_ties_and_crowds(k):
    rng = np.random.default_rng(k)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 25, 40))])
    values = np.round(rng.random(offsets[-1]), 1)
    frames = itertools.pairwise(offsets)

    found = frame_values(values, offsets, aggregation="topk_mean", k=k)

    assert found == pytest.approx([np.sort(values[a:b])[::-1][:k].mean() for a, b in frames])
