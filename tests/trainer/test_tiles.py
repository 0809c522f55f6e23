"""Tiles cover a frame, every place belongs to one, and an object on a seam is found once."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.labels import LabelMap
from trainer.engines.centernet import CenterNetDetector
from trainer.engines.tiles import OVERLAP, tiles_of

SIDES = st.integers(32, 700)


@given(SIDES, SIDES, st.integers(32, 256), st.integers(32, 256))
def test_every_place_belongs_to_one_tile_that_holds_it(height, width, tall, wide):
    tiles = tiles_of((height, width), (tall, wide))
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0, width, 50), rng.uniform(0, height, 50)
    boxes = np.stack([x, y, x, y], axis=1).astype(np.float32)
    owned = np.array([tile.owns(boxes) for tile in tiles])

    assert (owned.sum(axis=0) == 1).all()
    for tile, own in zip(tiles, owned, strict=True):
        inside = boxes[own]
        assert (inside[:, 0] >= tile.left).all()
        assert (inside[:, 0] <= tile.left + wide).all()
        assert (inside[:, 1] >= tile.top).all()
        assert (inside[:, 1] <= tile.top + tall).all()


def test_a_frame_that_fits_is_one_tile():
    assert len(tiles_of((100, 120), (128, 128))) == 1


def test_neighbours_share_what_an_object_needs():
    lefts = sorted({tile.left for tile in tiles_of((100, 1000), (100, 200))})

    assert lefts[0] == 0
    assert lefts[-1] == 800
    assert max(b - a for a, b in itertools.pairwise(lefts)) <= 200 * (1 - OVERLAP) + 1


@dataclass
class SquareFinder:
    """A network that claims a 16-pixel object wherever the input has a white cell of stride 4."""

    stride: int = 4

    def run(self, _, given):
        images = given["images"]
        cells = images[:, 0, 2::4, 2::4]
        heat = np.where(cells > 250, 6.0, -12.0)[:, None].astype(np.float32)
        zeros = np.zeros((len(images), 2, *cells.shape[1:]), np.float32)
        return [heat, zeros, zeros, np.ones((len(images), 8), np.float32)]


def test_objects_of_a_large_frame_are_found_once_where_they_are():
    frame = np.zeros((256, 512, 3), np.uint8)
    centres = [(10, 20), (100, 130), (250, 128), (400, 60), (500, 240)]
    for x, y in centres:
        frame[y - y % 4 : y - y % 4 + 4, x - x % 4 : x - x % 4 + 4] = 255
    detector = CenterNetDetector(
        LabelMap(("square",)), (96, 128), 4, 16.0, SquareFinder(), canvas=(256, 512)
    )

    (found,) = detector.detect([frame], min_score=0.5)
    middles = sorted(((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in found.boxes.tolist())

    inner = [m for m in middles if 20 < m[0] < 490 and 20 < m[1] < 230]
    assert len(found) == len(centres)
    for x, y in inner:
        assert any(abs(x - cx) < 4 and abs(y - cy) < 4 for cx, cy in centres)
    assert found.embedding is not None
    assert np.linalg.norm(found.embedding) == pytest.approx(1)
