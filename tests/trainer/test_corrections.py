"""Corrections: what was there is kept, and only what a click asks for changes."""

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serverless.store.folders import shipped
from trainer.bundles.bundle import read_bundle
from trainer.detections import Mask
from trainer.engines.interactor.clicks import parse_clicks
from trainer.engines.interactor.correcting.estimate import IouEstimate
from trainer.engines.interactor.correcting.merging import (
    merge_correction,
    on_region,
    on_window,
    within_frame,
)
from trainer.engines.interactor.extreme_points import load
from trainer.errors import PromptError

HEIGHT, WIDTH = 90, 140
NONE = np.zeros((0, 2))
FOUR = np.array([[32.5, 45.5], [70.5, 22.5], [108.5, 45.5], [70.5, 67.5]])


@pytest.fixture(scope="module")
def interactor():
    (entry,) = [found for found in shipped() if found.id == "extreme-points"]
    return load(read_bundle(entry.bundle, version=entry.version), threads=1)


def picture(seed=0):
    """Return a picture that nobody writes to, as a decoded one is: it has a history."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 150, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    cv2.ellipse(pixels, (70, 45), (38, 23), 0, 0, 360, (210, 60, 40), -1)
    pixels.flags.writeable = False
    return pixels


def frame_of(candidate):
    frame = np.zeros((HEIGHT, WIDTH), bool)
    mask = candidate.mask
    height, width = mask.bitmap.shape
    part = frame[mask.top : mask.top + height, mask.left : mask.left + width]
    assert part.shape == mask.bitmap.shape, "the mask leaves the image"
    part[:] = mask.bitmap
    return frame


def clicks(*rows):
    return np.array(rows, float).reshape(-1, 2)


def overlap(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("doubled", [0, 1, 2, 3])
def test_four_clicks_of_which_two_coincide_are_four_extreme_points(interactor, doubled):
    """A triangle: its topmost point is its leftmost, or whichever the hand clicked twice."""
    pixels = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    truth = np.zeros((HEIGHT, WIDTH), np.uint8)
    corners = np.array([[30, 20], [110, 45], [50, 75]])
    for canvas, colour in ((pixels, (220, 60, 50)), (truth, 1)):
        cv2.fillPoly(canvas, [np.roll(corners, doubled % 3, axis=0)], colour)
    three = corners + 0.5
    twice = np.concatenate([three, three[[doubled % 3]]])

    found = frame_of(interactor.candidate(pixels, twice, NONE, None))

    prompt = parse_clicks(twice, NONE, None)
    assert len(prompt.extremes) == 4
    assert not len(prompt.inside)
    ys, xs = np.nonzero(found)
    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (30, 20, 110, 75)
    assert overlap(found, truth > 0) > 0.75


def test_a_correction_does_not_become_an_extreme_point_when_a_marker_is_removed(interactor):
    pixels = picture()
    inner = clicks([70.5, 40.5])
    interactor.candidate(pixels, FOUR, NONE, None)
    shown = interactor.candidate(pixels, np.concatenate([FOUR, inner]), NONE, None)

    for gone in range(4):
        left = np.concatenate([np.delete(FOUR, gone, axis=0), inner])
        found = interactor.candidate(pixels, left, NONE, None)
        assert np.array_equal(frame_of(found), frame_of(shown))
        assert found.confidence == shown.confidence


def test_a_new_marker_in_a_removed_ones_place_is_an_extreme_point(interactor):
    pixels = picture()
    inner = clicks([70.5, 40.5])
    interactor.candidate(pixels, FOUR, NONE, None)
    interactor.candidate(pixels, np.concatenate([FOUR, inner]), NONE, None)
    left = np.concatenate([FOUR[[0, 2, 3]], inner])
    interactor.candidate(pixels, left, NONE, None)

    found = frame_of(
        interactor.candidate(pixels, np.concatenate([left, [[66.5, 26.5]]]), NONE, None)
    )

    assert np.nonzero(found)[0].min() == 26


def test_four_fresh_clicks_are_four_extreme_points_whatever_was_asked_before(interactor):
    pixels = picture()
    interactor.candidate(pixels, FOUR, NONE, None)
    interactor.candidate(pixels, np.concatenate([FOUR, clicks([70.5, 40.5])]), NONE, None)
    others = clicks([10.5, 30.5], [20.5, 12.5], [31.5, 30.5], [20.5, 50.5])

    ys, xs = np.nonzero(frame_of(interactor.candidate(pixels, others, NONE, None)))

    assert (xs.min(), ys.min(), xs.max(), ys.max()) == (10, 12, 31, 50)


def test_a_click_taken_back_gives_the_mask_before_it(interactor):
    pixels = picture()
    before = interactor.candidate(pixels, FOUR, NONE, None)
    interactor.candidate(pixels, FOUR, clicks([50.5, 45.5]), None)

    again = interactor.candidate(pixels, FOUR, NONE, None)

    assert np.array_equal(frame_of(again), frame_of(before))


def test_a_click_that_contradicts_another_takes_nothing_away(interactor):
    pixels = picture()
    before = interactor.candidate(pixels, FOUR, NONE, None)

    found = interactor.candidate(pixels, FOUR, clicks(FOUR[1] + 0.2), None)

    assert np.array_equal(frame_of(found), frame_of(before))
    with pytest.raises(PromptError, match="as inside and as outside"):
        interactor.candidate(picture(5), FOUR, clicks(FOUR[1] + 0.2), None)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.booleans()),
        min_size=1,
        max_size=4,
        unique_by=lambda step: step[:2],
    ),
    seed=st.integers(0, 2),
)
def test_click_by_click_the_laws_hold_and_the_mask_never_vanishes(interactor, steps, seed):
    pixels = picture(seed)
    positive, negative = FOUR, NONE
    interactor.candidate(pixels, positive, negative, None)
    for x, y, inside in steps:
        click = clicks([x + 0.5, y + 0.5])
        if (np.abs(positive - click) < 1).all(axis=1).any():
            continue
        if inside:
            positive = np.concatenate([positive, click])
        else:
            negative = np.concatenate([negative, click])

        frame = frame_of(interactor.candidate(pixels, positive, negative, None))

        assert frame.any()
        assert all(frame[int(py), int(px)] for px, py in positive)
        assert not any(frame[int(ny), int(nx)] for nx, ny in negative)


def test_outside_the_box_of_the_four_points_only_where_a_later_click_asked(interactor):
    """A click to the right of the box opens the way to it, and nothing above or below."""
    pixels = picture()
    interactor.candidate(pixels, FOUR, NONE, None)
    later = clicks([125.5, 45.5])

    found = frame_of(interactor.candidate(pixels, np.concatenate([FOUR, later]), NONE, None))

    assert found[45, 125]
    assert not found[:22].any()
    assert not found[68:].any()
    beyond = found[:, 109:]
    count, labels = cv2.connectedComponents(beyond.astype(np.uint8), connectivity=8)
    assert count == 2
    assert labels[45, 125 - 109] == 1


def test_what_a_click_did_not_ask_for_stays_unless_it_is_sure():
    before = np.zeros((60, 100), bool)
    before[20:40, 10:60] = True
    after = np.zeros((60, 100), bool)
    after[20:40, 20:70] = True
    after[2:10, 80:90] = True
    share = np.where(after, 0.8, 0.2).astype(np.float32)
    asked = {"positive": clicks([65, 30]), "negative": NONE, "side": 100.0}

    unsure = merge_correction(before, after, share, **asked)
    share[2:10, 80:90] = 0.999
    sure = merge_correction(before, after, share, **asked)

    wanted = before.copy()
    wanted[20:40, 60:70] = True
    assert np.array_equal(unsure, wanted)
    wanted[2:10, 80:90] = True
    assert np.array_equal(sure, wanted)


def test_a_mask_keeps_its_place_at_every_size():
    """The middle of a mask stays where it is, to a tenth of a pixel of the coarser grid."""
    bitmap = np.zeros((31, 47), bool)
    bitmap[5:20, 7:33] = True
    mask = Mask(bitmap, 13, 9)
    ys, xs = np.nonzero(bitmap)
    middle = np.array([xs.mean() + 0.5 + 13, ys.mean() + 0.5 + 9])

    for region in ([0, 0, 80, 60], [10.3, 4.1, 66.9, 44.7], [-20, -30, 200, 190]):
        box = np.array(region, float)
        for size in ((40, 40), (96, 128), (192, 192)):
            found = on_region(mask, box, size)
            y, x = (np.arange(n) + 0.5 for n in size)
            scale = (box[2:] - box[:2]) / [size[1], size[0]]
            weight = found.sum()
            there = [(found.sum(axis=0) * x).sum() / weight, (found.sum(axis=1) * y).sum() / weight]
            assert there * scale + box[:2] == pytest.approx(middle, abs=0.1 + 0.1 * scale.max())
            assert weight * scale.prod() == pytest.approx(bitmap.sum(), rel=0.06)

    assert np.array_equal(on_window(mask, (13, 9, 60, 40), (31, 47)), bitmap)


def test_a_part_outside_the_frame_goes_unless_it_was_clicked():
    mask = np.zeros((40, 60), bool)
    mask[10:20, 5:50] = True
    mask[2:30, 20:25] = True
    frame = np.array([5.0, 8.0, 39.0, 24.0])

    found = within_frame(mask, frame, clicks([45.5, 15.5]))

    assert found[15, 45]
    assert not found[:8].any()
    assert not found[25:].any()
    assert np.array_equal(found[8:25, :40], mask[8:25, :40])


def test_the_estimate_follows_the_lines_of_the_card():
    told = {"first": [[0.0, 0.5, 1.0], [0.2, 0.6, 0.9]], "corrected": [[0.0, 1.0], [0.5, 1.0]]}

    found = IouEstimate.of(told)

    assert found.first(0.25) == pytest.approx(0.4)
    assert found.corrected(0.5) == pytest.approx(0.75)
    assert IouEstimate.of(None).first(0.37) == pytest.approx(0.37)


def test_pixels_that_may_change_have_no_history(interactor):
    pixels = picture().copy()
    first = interactor.candidate(pixels, FOUR, NONE, None)
    pixels[:] = 120

    again = interactor.candidate(pixels, FOUR, NONE, None)

    assert dataclasses.replace(again, mask=first.mask) != first
