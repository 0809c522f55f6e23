"""Input size, tiles, batch and steps follow the frames, the objects and the time there is."""

from __future__ import annotations

import pytest

from trainer.backends.learning.plan import LEAST_AREA, MOST_AREA, plan
from trainer.data.annotations import AnnotatedImage, AnnotatedObject


def frames(count: int, *, width: int, height: int, side: float) -> list[AnnotatedImage]:
    box = (10.0, 10.0, 10.0 + side, 10.0 + side)
    return [
        AnnotatedImage(f"{n}.jpg", width, height, objects=(AnnotatedObject(0, box),))
        for n in range(count)
    ]


def area(size: tuple[int, int]) -> float:
    return size[0] * size[1] / 1e6


def test_large_objects_need_no_large_input():
    chosen = plan(frames(40, width=640, height=480, side=300))

    assert area(chosen.image_size) == pytest.approx(LEAST_AREA, rel=0.1)
    assert chosen.canvas is None


def test_small_objects_get_the_pixels_they_need():
    chosen = plan(frames(40, width=640, height=480, side=20))

    assert chosen.side == pytest.approx(20, rel=0.15)
    assert area(chosen.image_size) == pytest.approx(MOST_AREA, rel=0.1)
    assert chosen.canvas is None


def test_small_frames_with_tiny_objects_are_enlarged_but_not_for_ever():
    chosen = plan(frames(40, width=256, height=256, side=6))

    assert chosen.image_size == (512, 512)


def test_small_objects_in_large_frames_are_read_in_tiles():
    chosen = plan(frames(40, width=4000, height=3000, side=40))

    assert chosen.canvas is not None
    assert area(chosen.canvas) > 2 * area(chosen.image_size)
    assert chosen.side > 15
    assert "tiles" in chosen.sentence

    assert plan(frames(40, width=4000, height=3000, side=40), tiles=False).canvas is None


def test_the_aspect_is_that_of_the_frames():
    height, width = plan(frames(20, width=1920, height=1080, side=200)).image_size

    assert width / height == pytest.approx(16 / 9, rel=0.15)
    assert height % 32 == width % 32 == 0


def test_less_time_makes_a_smaller_input():
    slow = plan(frames(40, width=640, height=480, side=20), seconds=780, cores=2)
    fast = plan(frames(40, width=640, height=480, side=20), seconds=120, cores=1)

    assert area(fast.image_size) < area(slow.image_size) / 2


def test_steps_grow_with_labels_up_to_a_bound():
    few, more, many = (
        plan(frames(n, width=640, height=480, side=100)).steps for n in (10, 200, 100_000)
    )

    assert few < more < many
    assert many == 4000


def test_what_a_person_set_stays():
    chosen = plan(
        frames(40, width=640, height=480, side=20), image_size=(96, 128), batch_size=3, seconds=None
    )

    assert (chosen.image_size, chosen.batch_size, chosen.seconds) == ((96, 128), 3, None)
