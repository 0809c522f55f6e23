"""Boxes become masks: with the weights that ship, and with interactors that draw nothing."""

from __future__ import annotations

import numpy as np
import pytest

from serverless.store.folders import general_interactor
from tests.fakes.detector import ToldDetector
from tests.fakes.ellipses import Filling, ellipses, fill_of, filled, on_frame
from trainer.bundles.bundle import write_bundle
from trainer.detections import Detections, Mask
from trainer.engines.boxes_to_masks import (
    MaskingDetector,
    load_segmenter,
    masks_of_boxes,
    with_masks,
)
from trainer.errors import BundleError
from trainer.evaluation.simulated_annotator import iou

NONE = np.zeros((0, 2))
SCENE = ellipses()


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter(general_interactor(), threads=1)


def detector(*boxes):
    rows = [("cell", 0.9 - n / 10, box) for n, box in enumerate(boxes)]
    return ToldDetector(["cell"], {SCENE.content: rows})


def test_a_detector_of_boxes_becomes_one_of_masks(segmenter):
    """Each mask is nearer to the object than its box is, and beside its own box and score."""
    both = MaskingDetector(detector(*SCENE.boxes), segmenter)

    (found,) = both.detect([SCENE.pixels], min_score=0.0)

    assert both.labels.names == ("cell",)
    assert found.boxes.tolist() == [list(box) for box in SCENE.boxes]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])
    for mask, box, truth in zip(found.masks, SCENE.boxes, SCENE.truth, strict=True):
        frame = on_frame(mask, truth.shape)
        assert fill_of(frame) < 0.95
        assert iou(frame, truth) > max(0.85, iou(filled(box, truth.shape), truth) + 0.05)


def test_many_boxes_are_answered_as_each_alone(segmenter):
    """More boxes than one run of the network takes, among them some outside of the image."""
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 110, (21, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(4, 40, (21, 2))], axis=1)
    outside = np.array([[-40.0, 5, -3, 30], [149.5, 20, 180, 40], [300, 300, 340, 340]])
    boxes = np.concatenate([boxes[:10], outside, boxes[10:], [[-20, 90, 60, 200]]])

    masks = segmenter.segment_boxes(SCENE.pixels, boxes)

    for row, (box, mask) in enumerate(zip(boxes, masks, strict=True)):
        if row in (10, 11, 12):
            assert not mask.bitmap.any()
            continue
        alone = segmenter.candidate(SCENE.pixels, NONE, NONE, box).mask
        assert (mask.left, mask.top) == (alone.left, alone.top)
        assert np.mean(mask.bitmap != alone.bitmap) < 1e-3  # the runtime sums in another order
    assert segmenter.segment_boxes(SCENE.pixels, np.zeros((0, 4))) == []


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "the box, filled"])
def test_an_answer_without_an_object_in_it_is_no_mask(empty):
    asked = Filling(empty=empty)

    assert masks_of_boxes(asked, SCENE.pixels, np.array(SCENE.boxes)) == [None] * 3
    (found,) = MaskingDetector(detector(*SCENE.boxes), asked).detect([SCENE.pixels], min_score=0)
    assert (len(found), found.masks, found.probabilities.shape) == (0, (), (0, 1))


def test_a_rectangle_that_is_not_the_box_is_an_object():
    """A window in a large box is found as it is; the same answer to its own box tells nothing."""

    class Windows:
        def segment_boxes(self, _pixels, boxes):
            return [Mask(np.ones((10, 10), bool), 20, 20) for _ in boxes]

    loose, close = (16.0, 16, 34, 34), (19.5, 20, 30, 30)

    found = masks_of_boxes(Windows(), SCENE.pixels, np.array([loose, close]))

    assert found[0] is not None
    assert found[1] is None


def test_a_speck_in_a_large_box_is_no_mask():
    class Specks:
        def segment_boxes(self, _pixels, boxes):
            bitmap = np.eye(3, dtype=bool)
            return [Mask(bitmap, int(x1) + 2, int(y1) + 2) for x1, y1, _, _ in boxes]

    large, small = (10.0, 10, 60, 60), (10.0, 10, 16, 16)

    found = masks_of_boxes(Specks(), SCENE.pixels, np.array([large, small]))

    assert found[0] is None
    assert found[1] is not None


def test_a_model_of_masks_keeps_its_own():
    mask = Mask(np.ones((4, 4), bool), 3, 3)
    found = Detections(
        np.array([[3, 3, 7, 7]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, int),
        masks=(mask,),
    )

    assert with_masks(found, SCENE.pixels, Filling(empty=True)) is found


def test_a_bundle_that_answers_no_boxes_is_told(tmp_path):
    source = tmp_path / "w"
    source.write_bytes(b"w")
    other = write_bundle(
        tmp_path / "b", files={"model.onnx": source}, name="b", engine="centernet", task="boxes",
        labels=("a",), input_size=(8, 8), min_score=0.5,
    )  # fmt: skip

    with pytest.raises(BundleError, match="an interactor's bundle"):
        load_segmenter(other)
