"""Mask to polygon: the laws that hold for every mask, and shapes whose answer is known."""

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from serverless.polygon.polygons import Polygon, polygons_from_mask, rasterize


@st.composite
def masks(draw):
    """Noise, noise in blocks, and blobs with holes and parts, as a network gives them."""
    shape = draw(st.tuples(st.integers(1, 16), st.integers(1, 16)))
    cells = draw(arrays(bool, shape))
    scale = draw(st.integers(1, 6))
    mask = np.kron(cells, np.ones((scale, scale), bool))
    if draw(st.booleans()):
        smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), scale)
        mask = smooth > draw(st.sampled_from([0.3, 0.5, 0.7]))
    return mask


def iou(one, other):
    union = (one | other).sum()
    return 1.0 if not union else (one & other).sum() / union


def check_valid(polygons, width, height):
    for polygon in polygons:
        shape = shapely.Polygon(polygon.exterior, polygon.holes)
        assert shape.is_valid, shapely.is_valid_reason(shape)
        assert shape.area > 0
        left, top, right, bottom = shape.bounds
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masks(), st.sampled_from([0.8, 0.9, 0.97, 1.0]))
def test_every_mask_gives_valid_polygons_inside_it_and_above_the_iou(mask, min_iou):
    polygons = polygons_from_mask(mask, min_iou=min_iou)

    assert bool(polygons) == bool(mask.any())
    check_valid(polygons, mask.shape[1], mask.shape[0])
    assert iou(rasterize(polygons, mask.shape), mask) >= min_iou


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masks(), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_vertices_may_leave_the_bitmap_but_not_the_image(mask, left, top, right, bottom):
    size = (top + mask.shape[0] + bottom, left + mask.shape[1] + right)
    frame = np.pad(mask, ((top, bottom), (left, right)))

    polygons = polygons_from_mask(mask, left=left, top=top, size=size, min_iou=0.9)

    check_valid(polygons, size[1], size[0])
    assert iou(rasterize(polygons, size), frame) >= 0.9


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masks(), st.integers(3, 30))
def test_a_budget_of_vertices_is_kept(mask, budget):
    polygons = polygons_from_mask(mask, max_vertices=budget)

    assert sum(polygon.vertices for polygon in polygons) <= budget
    assert bool(polygons) == bool(mask.any())
    check_valid(polygons, mask.shape[1], mask.shape[0])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(masks(), st.sampled_from([1.0, 2.5]))
def test_no_border_of_a_large_part_lies_farther_than_the_tolerance(mask, tolerance):
    polygons = polygons_from_mask(mask, tolerance_px=tolerance, min_iou=0.5)

    drawn = rasterize(polygons, mask.shape)
    wrong = (drawn != mask).astype(np.uint8)
    # A wrong pixel's centre lies within the tolerance of the border, unless it is of a speck:
    # specks are at most twice the tolerance's square in area.
    changes = np.zeros_like(mask)
    changes[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    changes[1:] |= mask[1:] != mask[:-1]
    away = cv2.distanceTransform(
        (~np.pad(changes, 1, constant_values=True)).astype(np.uint8), cv2.DIST_L2, 5
    )[1:-1, 1:-1]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(wrong, connectivity=4)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_AREA] > 2 * tolerance**2 + 1:
            assert away[labels == part].max() <= tolerance + 1.5


def test_a_rectangle_is_its_four_corners():
    (polygon,) = polygons_from_mask(np.ones((37, 61), bool), left=5, top=4)

    assert {tuple(point) for point in polygon.exterior} == {(5, 4), (66, 4), (66, 41), (5, 41)}


@pytest.mark.parametrize("scale", [7, 40])
def test_corners_are_kept(scale):
    cells = np.array([[1, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]], bool)
    mask = np.kron(cells, np.ones((scale, scale), bool))

    (polygon,) = polygons_from_mask(mask)

    expected = {(0, 0), (4, 0), (4, 1), (1, 1), (1, 3), (2, 3), (2, 4), (0, 4)}
    assert {(x / scale, y / scale) for x, y in polygon.exterior} == expected


def test_a_polygon_comes_back_with_as_many_corners_as_it_was_drawn_with():
    rng = np.random.default_rng(5)
    for corners in (3, 4, 5, 6, 7):
        turn = np.linspace(0, 2 * np.pi, corners, endpoint=False) + rng.uniform(0, 0.3, corners)
        ring = 130 + np.stack([110 * np.cos(turn), 90 * np.sin(turn)], axis=1)
        mask = rasterize([Polygon(ring)], (260, 260))

        (polygon,) = polygons_from_mask(mask, min_iou=0.995, tolerance_px=2)

        assert len(polygon.exterior) == corners
        gaps = np.linalg.norm(polygon.exterior[:, None] - ring[None], axis=2).min(axis=1)
        assert gaps.max() < 2.5


def test_a_hole_and_two_parts_come_back_as_they_are():
    mask = np.zeros((60, 100), bool)
    mask[5:55, 5:55] = True
    mask[20:40, 20:40] = False
    mask[10:30, 70:95] = True

    large, small = polygons_from_mask(mask)

    assert {tuple(p) for p in large.exterior} == {(5, 5), (55, 5), (55, 55), (5, 55)}
    assert [{tuple(p) for p in hole} for hole in large.holes] == [
        {(20, 20), (40, 20), (40, 40), (20, 40)}
    ]
    assert {tuple(p) for p in small.exterior} == {(70, 10), (95, 10), (95, 30), (70, 30)}
    np.testing.assert_array_equal(rasterize([large, small], mask.shape), mask)


def test_specks_are_left_out_only_where_the_iou_allows():
    mask = np.zeros((60, 60), bool)
    mask[10:50, 10:50] = True
    mask[2, 2] = mask[57, 57] = True
    mask[30, 30] = False

    assert [p.vertices for p in polygons_from_mask(mask)] == [4]
    exact = polygons_from_mask(mask, min_iou=1.0)
    np.testing.assert_array_equal(rasterize(exact, mask.shape), mask)


def test_parts_that_touch_at_a_corner_are_parts():
    mask = np.kron(np.eye(3, dtype=bool), np.ones((9, 9), bool))

    assert [p.vertices for p in polygons_from_mask(mask)] == [4, 4, 4]


def blob(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal((180, 180)).astype(np.float32), (0, 0), 15)
    _, parts = cv2.connectedComponents((noise > 0).astype(np.uint8), connectivity=4)
    return parts == 1 + np.bincount(parts.ravel())[1:].argmax()


def by_approxpolydp(mask: np.ndarray, least: float) -> int:
    """Fewest vertices of cv2.approxPolyDP at an IoU of least or more, on the editor's contour:
    the mask grown by a pixel to the right and down, outer border and holes."""
    grown = cv2.dilate(np.pad(mask, 1).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    counts = []
    for epsilon in np.arange(0.4, 8, 0.1):
        thinned = [cv2.approxPolyDP(c, epsilon, closed=True)[:, 0] - 1.0 for c in contours]
        outer, *holes = (ring for ring in thinned if len(ring) > 2)
        if iou(rasterize([Polygon(outer, tuple(holes))], mask.shape), mask) >= least:
            counts.append(len(outer) + sum(map(len, holes)))
    return min(counts)


def test_it_takes_fewer_vertices_than_approxpolydp_at_the_same_iou():
    """On smooth blobs, the hardest case; tests/bench/polygon.py measures real masks."""
    ours, theirs = 0, 0
    for seed in range(5):
        polygons = polygons_from_mask(blob(seed))
        ours += sum(polygon.vertices for polygon in polygons)
        reached = iou(rasterize(polygons, blob(seed).shape), blob(seed))
        theirs += by_approxpolydp(blob(seed), reached)

    assert ours <= 0.8 * theirs


def test_noise_of_hundreds_of_parts_is_answered_all_the_same():
    mask = np.random.default_rng(0).random((60, 60)) < 0.5

    polygons = polygons_from_mask(mask)

    assert len(polygons) > 100
    check_valid(polygons, 60, 60)
    assert iou(rasterize(polygons, mask.shape), mask) >= 0.97


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tolerance_px": 0}, "tolerance_px"),
        ({"min_iou": 0}, "min_iou"),
        ({"min_iou": 1.1}, "min_iou"),
        ({"max_vertices": 2}, "max_vertices"),
        ({"bitmap": np.ones(3, bool)}, "bitmap must be"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(changes, says):
    values = {"bitmap": np.ones((3, 3), bool)} | changes
    with pytest.raises(ValueError, match=says):
        polygons_from_mask(values.pop("bitmap"), **values)
