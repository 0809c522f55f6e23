"""What the clicks on one object share, and what a first answer is made of."""

import numpy as np

from trainer.engines.interactor.clicks import channels, crop_of, parse_clicks
from trainer.engines.interactor.crop_cache import CropCache
from trainer.engines.interactor.extreme_points import mean_of_views, mirrored_views

REGION = np.array([10.0, 5, 70, 65])
WINDOW = (15, 10, 60, 60)


def image(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 255, (80, 90, 3), dtype=np.uint8)
    pixels.setflags(write=False)
    return pixels


def test_the_same_place_of_the_same_image_is_looked_at_once():
    looks, pixels = CropCache((32, 32)), image()

    first = looks.at(pixels, REGION, WINDOW)

    assert looks.at(pixels, REGION.copy(), WINDOW) is first
    assert np.array_equal(first.crop, crop_of(pixels, REGION, (32, 32)))
    assert first.guide.shape == (50, 45)
    assert looks.at(pixels, REGION + 1, WINDOW) is not first
    assert looks.at(pixels, REGION, (15, 10, 60, 61)) is not first
    assert looks.at(image(), REGION, WINDOW) is not first


def test_an_image_that_may_change_is_looked_at_anew():
    looks, pixels = CropCache((32, 32)), image().copy()
    before = looks.at(pixels, REGION, WINDOW)

    pixels[:] = 255 - pixels

    assert not np.array_equal(looks.at(pixels, REGION, WINDOW).crop, before.crop)


def test_only_the_last_looks_are_kept_and_none_outlives_its_image():
    looks, pixels = CropCache((32, 32)), image()
    first = looks.at(pixels, REGION, WINDOW)

    for n in range(40):
        looks.at(pixels, REGION + n, WINDOW)
    assert looks.at(pixels, REGION, WINDOW) is not first

    for seed in range(40):  # another image may get the place of a freed one in memory
        pixels = image(seed)
        found = looks.at(pixels, REGION, WINDOW)
        assert np.array_equal(found.crop, crop_of(pixels, REGION, (32, 32)))


def test_what_the_network_sees_of_a_mirror_image_is_the_mirror_image_of_what_it_sees():
    """So that a view costs no more than its flip."""
    clicks = np.array([[10.5, 30.5], [40.5, 8.5], [55.5, 35.5], [30.5, 56.5]])
    crop = np.repeat(np.repeat(image()[:16, :16], 4, axis=0), 4, axis=1)
    seen = channels(crop, parse_clicks(clicks, np.zeros((0, 2)), None))
    turned = clicks * [-1, 1] + [64, 0]

    views = mirrored_views(seen)

    other = channels(crop[:, ::-1], parse_clicks(turned, np.zeros((0, 2)), None))
    assert np.allclose(views[1], other, atol=1e-4)
    assert np.array_equal(views[3], views[1][:, ::-1])


def test_mirror_images_that_agree_give_what_each_says_and_a_doubter_changes_little():
    share = np.random.default_rng(1).uniform(0.01, 0.99, (8, 8)).astype(np.float32)
    shares = mirrored_views(share[None])[:, 0]

    assert np.allclose(mean_of_views(shares), share, atol=1e-4)

    sure = np.array([0.99, 0.99, 0.99, 0.4], np.float32)[:, None, None] * np.ones((4, 8, 8))
    assert (mean_of_views(sure.astype(np.float32)) > 0.9).all()
