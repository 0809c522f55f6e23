"""CVAT's masks."""

from __future__ import annotations

import numpy as np
import pytest
from cvat_sdk.masks import decode_mask, encode_mask
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cvat_bridge.shapes import rle
from trainer.detections import Mask, clip_mask

bitmaps = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def test_a_known_mask_is_read_row_by_row_zeros_first():
    """Rows of the box, which is inclusive: 3 x 2 pixels from column 4, row 5."""
    mask = rle.decode([1, 2, 2, 1, 4, 5, 6, 6])

    assert (mask.left, mask.top) == (4, 5)
    assert mask.bitmap.tolist() == [[False, True, True], [False, False, True]]


def test_a_mask_that_begins_set_has_a_first_run_of_no_zeros():
    assert rle.encode(Mask(np.array([[True, False]]), 7, 8)) == [0, 1, 1, 7, 8, 8, 8]


@given(bitmap=bitmaps, left=st.integers(0, 50), top=st.integers(0, 50))
def test_what_is_written_is_read_back(bitmap: np.ndarray, left: int, top: int):
    if not bitmap.any():
        with pytest.raises(rle.BrokenMaskError, match="no pixel"):
            rle.encode(Mask(bitmap, left, top))
        return

    back = rle.decode(rle.encode(Mask(bitmap, left, top)))

    assert (back.left, back.top) == (left, top)
    np.testing.assert_array_equal(back.bitmap, bitmap)


@given(bitmap=bitmaps)
def test_it_is_the_form_of_cvats_own_sdk(bitmap: np.ndarray):
    """Our numbers read by cvat_sdk.masks give the bitmap, and its numbers read by us too."""
    if not bitmap.any():
        return
    height, width = bitmap.shape
    ours = rle.encode(Mask(bitmap, 0, 0))

    theirs = decode_mask(ours, image_width=width, image_height=height)
    np.testing.assert_array_equal(theirs, bitmap)

    back = rle.decode(encode_mask(bitmap))
    whole = np.zeros_like(bitmap)
    rows, columns = back.bitmap.shape
    whole[back.top : back.top + rows, back.left : back.left + columns] = back.bitmap
    np.testing.assert_array_equal(whole, bitmap)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ([0, 3, 1, 1, 2, 2], "does not match"),
        ([0, 4.5, 1, 1, 2, 2], "non-integer"),
        ([1, 2, 3, 4], "too few|not enough"),
        ([4, 5, 5, 3, 3], "invalid"),
        ([6, -2, 1, 1, 2, 2], "negative"),
        ([0, 4, 0.5, 1, 1.5, 2], "whole numbers"),
        ([float("nan"), 4, 1, 1, 2, 2], "non-integer"),
    ],
)
def test_numbers_that_are_no_mask_are_named(points: list[float], reason: str):
    """CVAT stores them without a word."""
    with pytest.raises(rle.BrokenMaskError, match=reason):
        rle.decode(points)


def test_a_mask_is_cut_to_its_pixels_inside_the_image():
    bitmap = np.zeros((4, 6), bool)
    bitmap[1:, 1:4] = True

    cut = clip_mask(Mask(bitmap, -2, 7), (10, 20))

    assert cut is not None
    assert (cut.left, cut.top, cut.bitmap.shape) == (0, 8, (2, 2))
    assert cut.bitmap.all()
    assert rle.box(cut) == (0.0, 8.0, 2.0, 10.0)


def test_a_filled_polygon_covers_the_pixels_whose_centres_it_holds():
    filled = rle.fill([np.array([[2.0, 1.0], [5.0, 1.0], [5.0, 3.0], [2.0, 3.0]])], 10, 8)

    assert filled is not None
    assert (filled.left, filled.top) == (2, 1)
    assert filled.bitmap.shape == (2, 3)
    assert filled.bitmap.all()
