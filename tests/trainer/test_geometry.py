"""How much boxes overlap, and what of a mask an image holds."""

from __future__ import annotations

import numpy as np
import pytest

from trainer.detections import Mask, box_iou, clip_mask


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((0, 0, 2, 2), 1.0),
        ((1, 0, 3, 2), 1 / 3),
        ((2, 0, 4, 2), 0.0),
        ((0, 0, 1, 1), 0.25),
        ((1, 1, 1, 1), 0.0),
    ],
)
def test_boxes_overlap_by_intersection_over_union(box: tuple[int, ...], expected: float) -> None:
    assert box_iou((0, 0, 2, 2), box)[0, 0] == pytest.approx(expected)


def test_the_overlap_with_a_crowd_is_a_share_of_the_left_box_alone() -> None:
    boxes = [(1, 0, 3, 2), (0, 0, 10, 10)]

    assert box_iou((0, 0, 2, 2), boxes, crowd=[0, 1])[0] == pytest.approx([1 / 3, 1.0])


def test_no_boxes_overlap_nothing() -> None:
    assert box_iou(np.zeros((0, 4)), [(0, 0, 1, 1)]).shape == (0, 1)
    assert box_iou([(0, 0, 1, 1)], []).shape == (1, 0)


def test_a_mask_is_cut_to_its_pixels_inside_the_image() -> None:
    bitmap = np.zeros((4, 6), bool)
    bitmap[1:, 1:4] = True

    cut = clip_mask(Mask(bitmap, -2, 7), (10, 20))

    assert cut is not None
    assert (cut.left, cut.top, cut.bitmap.tolist()) == (0, 8, [[True, True]] * 2)
    assert clip_mask(Mask(bitmap, 100, 0), (10, 20)) is None
    assert clip_mask(Mask(bitmap, -30, 0), (10, 20)) is None
