"""The description needs no model and still knows which pictures are alike."""

from __future__ import annotations

import cv2
import numpy as np

from tests.trainer.shapes import picture
from trainer.embedding.descriptor import SIZE, describe


def test_form_and_length():
    for pixels in (np.zeros((5, 7, 3), np.uint8), picture(np.random.default_rng(0))[0]):
        vector = describe(pixels)

        assert vector.shape == (SIZE,)
        assert vector.dtype == np.float32
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-5


def test_a_recompressed_smaller_copy_is_nearer_than_another_picture():
    rng = np.random.default_rng(3)
    original, other = picture(rng, most=8)[0], picture(rng, most=8)[0]
    smaller = cv2.resize(original, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    copy = cv2.imdecode(cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)

    likeness = describe(original) @ describe(copy)

    assert likeness > 0.92
    assert likeness > describe(original) @ describe(other)


def test_each_part_speaks():
    """Layout, shape and colour each tell apart pictures that agree in the others' rough view."""
    stripes = np.repeat((np.arange(96) // 4 % 2 * 255).astype(np.uint8)[:, None], 96, axis=1)
    across, along = np.dstack([stripes] * 3), np.dstack([stripes.T] * 3)
    red, green = np.zeros((96, 96, 3), np.uint8), np.zeros((96, 96, 3), np.uint8)
    red[..., 0], green[..., 1] = 160, 160

    assert describe(across) @ describe(along) < 0.9
    assert describe(red) @ describe(green) < 0.3
