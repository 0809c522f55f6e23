"""The gate of interactors: better beyond the noise, on the same objects."""

import numpy as np
import pytest

from tests.trainer.shapes import shapes_dataset
from trainer.data.images import decode
from trainer.detections import Mask
from trainer.errors import ComparisonError
from trainer.evaluation.simulated_annotator import four_points, iou, next_click
from trainer.gate.interactor_gate import FourPointScores, decide_interactor, measure
from trainer.interactor import Candidate


def rows(values, frames=None):
    places = np.arange(len(values)) if frames is None else np.array(frames)
    return FourPointScores(np.array(values, float), places)


def verdict(before, after, **more):
    return decide_interactor(before, after, rng=np.random.default_rng(0), **more)


class Boxes:
    """Answers with the box of its clicks, less so many pixels on each side."""

    def __init__(self, less=0):
        self.less = less

    def segment(self, image, *, positive, negative, box):
        low, high = positive.min(axis=0).astype(int), positive.max(axis=0).astype(int)
        low, high = low + self.less, high - self.less
        shape = np.maximum(high - low + 1, 1)[::-1]
        return [Candidate(Mask(np.ones(shape, bool), *low), 0.5)], decode(image).shape[:2]


def test_a_gain_beyond_the_noise_is_promoted():
    before = rows(np.full(30, 0.7))
    after = rows(0.75 + 0.02 * np.random.default_rng(1).standard_normal(30))

    found = verdict(before, after)

    assert found.promoted
    assert found.gain == pytest.approx(0.05, abs=0.01)
    assert 0 < found.gain_low < found.gain


def test_a_gain_within_the_noise_is_not():
    noise = 0.2 * np.random.default_rng(2).standard_normal(30)
    noise += 0.005 - noise.mean()

    found = verdict(rows(np.full(30, 0.5)), rows(0.5 + noise))

    assert not found.promoted
    assert found.gain > 0 > found.gain_low


def test_objects_of_one_frame_are_one_observation():
    """Thirty objects of one lucky frame don't outvote the others."""
    frames = [0] * 30 + [1, 2, 3, 4, 5]
    after = [0.8] * 30 + [0.68] * 5

    assert not verdict(rows([0.7] * 35, frames), rows(after, frames)).promoted


def test_too_few_objects_tell_nothing():
    found = verdict(rows([0.1] * 4), rows([0.9] * 4))

    assert not found.promoted
    assert "4 masks in the holdout, 10 are needed" in found.reasons[0]


def test_other_objects_cannot_be_compared():
    with pytest.raises(ComparisonError):
        verdict(rows([0.1] * 12), rows([0.9] * 11))


def test_measuring_asks_with_four_points_for_every_object_with_a_mask(tmp_path):
    """The squares of the set are found by their box; the discs, which are boxes, do not count."""
    dataset = shapes_dataset(tmp_path / "d", train=0, holdout=20)
    squares = [o for i in dataset.split("holdout") for o in i.objects if o.segmentation]

    exact, small = measure(Boxes(), dataset), measure(Boxes(2), dataset)

    assert len(exact.ious) == len(squares) > 9
    assert np.allclose(exact.ious, 1)
    assert (small.ious < 0.85).all()
    assert verdict(small, exact).promoted


def test_an_annotator_clicks_the_outermost_pixels_and_then_the_middle_of_the_largest_error():
    mask = np.zeros((20, 30), bool)
    mask[5:15, 10:20] = True
    found = mask.copy()
    found[6:14, 12:19] = False
    found[0, 0] = True

    assert four_points(mask).tolist() == [[10.5, 10.5], [15.5, 5.5], [19.5, 10.5], [15.5, 14.5]]
    (x, y), positive = next_click(mask, found)
    assert positive
    assert not found[int(y), int(x)]
    assert 14 <= x <= 17
    assert next_click(mask, mask) is None
    assert iou(mask, mask) == 1
    with pytest.raises(ValueError, match="empty"):
        four_points(np.zeros((4, 4), bool))
