"""The laws of the clicks, with the weights that ship: whatever the model thinks, they hold."""

import io
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serverless.store.folders import shipped
from trainer.bundles.bundle import read_bundle
from trainer.engines.interactor.clicks import parse_clicks, region_of
from trainer.engines.interactor.extreme_points import load
from trainer.engines.interactor.image_cache import ImageCache
from trainer.errors import ImageError, PromptError

HEIGHT, WIDTH = 90, 140
NONE = np.zeros((0, 2))
LAWS = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="module")
def interactor():
    (entry,) = [found for found in shipped() if found.id == "extreme-points"]
    return load(read_bundle(entry.bundle, version=entry.version), threads=1)


def scene(seed=0, *, height=HEIGHT, width=WIDTH):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
    centre = int(rng.integers(width // 3, width * 2 // 3)), height // 2
    cv2.ellipse(pixels, centre, (width // 5, height // 4), 0, 0, 360, (210, 60, 40), -1)
    return pixels


def frame_of(candidate, size=(HEIGHT, WIDTH)):
    frame = np.zeros(size, bool)
    mask = candidate.mask
    height, width = mask.bitmap.shape
    part = frame[mask.top : mask.top + height, mask.left : mask.left + width]
    assert part.shape == mask.bitmap.shape, "the mask leaves the image"
    part[:] = mask.bitmap
    return frame


def points(least, most):
    one = st.tuples(st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1))
    many = st.lists(one, min_size=least, max_size=most, unique=True)
    return many.map(lambda rows: np.array(rows, float).reshape(-1, 2) + 0.5)


@LAWS
@given(positive=points(1, 9), negative=points(0, 5), seed=st.integers(0, 3))
def test_positive_clicks_are_inside_and_negative_ones_outside(interactor, positive, negative, seed):
    clash = {tuple(p) for p in positive} & {tuple(n) for n in negative}
    negative = np.array([n for n in negative if tuple(n) not in clash]).reshape(-1, 2)

    frame = frame_of(interactor.candidate(scene(seed), positive, negative, None))

    assert all(frame[int(y), int(x)] for x, y in positive)
    assert not any(frame[int(y), int(x)] for x, y in negative)


@LAWS
@given(positive=points(4, 9), seed=st.integers(0, 3))
def test_the_outermost_clicks_are_on_the_border_of_the_result(interactor, positive, seed):
    """Nothing of the object lies beyond its four extreme points."""
    if (np.ptp(positive, axis=0) < 2).any():
        return

    ys, xs = np.nonzero(frame_of(interactor.candidate(scene(seed), positive, NONE, None)))

    assert (xs.min(), ys.min()) == tuple(np.floor(positive.min(axis=0)))
    assert (xs.max(), ys.max()) == tuple(np.floor(positive.max(axis=0)))


def test_the_order_of_the_clicks_and_doubled_ones_change_nothing(interactor):
    clicks = np.array([[30.5, 40.0], [70.0, 10.2], [110.9, 50.0], [60.0, 80.0], [65.0, 45.0]])
    before = interactor.candidate(scene(), clicks, NONE, None)

    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 1, 3], [0, 0, 1, 2, 3, 4, 4]):
        after = interactor.candidate(scene(), clicks[order], NONE, None)
        assert np.array_equal(frame_of(after), frame_of(before))
        assert after.confidence == before.confidence


def test_the_roles_follow_from_where_the_clicks_lie():
    clicks = np.array([[50.0, 50], [10, 40], [90, 45], [60, 5], [55, 95], [40, 40]])

    prompt = parse_clicks(clicks, NONE, None)

    assert prompt.extremes.tolist() == [[10, 40], [60, 5], [90, 45], [55, 95]]
    assert sorted(prompt.inside.tolist()) == [[40, 40], [50, 50]]
    assert prompt.box.tolist() == [10, 5, 90, 95]


@pytest.mark.parametrize(
    ("positive", "box"),
    [
        ([[70, 45]], None),
        ([[60, 45], [80, 45]], None),
        ([[60, 40], [80, 50], [70, 30]], None),
        ([[70, 45]] * 4, None),
        ([[20, 45], [50, 45], [90, 45], [120, 45]], None),
        ([[20, 20], [40, 40], [60, 60], [80, 80]], None),
        ([[-30, 40], [70, -5], [500, 40], [70, 85]], None),
        ([], [40, 20, 100, 70]),
        ([[70, 45]], [40, 20, 100, 70]),
        ([], [-50, -50, 1000, 1000]),
        ([[0, 0], [139.9, 0], [0, 89.9], [139.9, 89.9]], None),
    ],
    ids=[
        "one", "two", "three", "doubled", "on a line", "on a diagonal", "outside the image",
        "a box", "a box and a click", "a box beyond the image", "the corners",
    ],
)  # fmt: skip
def test_odd_clicks_give_a_sensible_mask(interactor, positive, box):
    clicks = np.array(positive, float).reshape(-1, 2)
    drawn = None if box is None else np.array(box, float)

    found = interactor.candidate(scene(), clicks, NONE, drawn)
    frame = frame_of(found)

    assert frame.any()
    assert 0 <= found.confidence <= 1
    if box is not None:
        ys, xs = np.nonzero(frame)
        room = 1 + 0.03 * max(box[2] - box[0], box[3] - box[1])
        assert xs.min() >= box[0] - room
        assert ys.max() <= box[3] + room


@pytest.mark.parametrize(
    ("positive", "negative", "box", "said"),
    [
        ([], [[5, 5]], None, "at least once"),
        ([[-10, 5], [300, 5], [5, 300], [-1, -1]], [], None, "outside the image"),
        ([[50, 50]], [[50.2, 50.9]], None, "as inside and as outside"),
        ([[50, 50]], [], [200, 200, 300, 300], "inside the image"),
    ],
)
def test_clicks_that_mean_nothing_are_refused(interactor, positive, negative, box, said):
    rows = (np.array(clicks, float).reshape(-1, 2) for clicks in (positive, negative))

    with pytest.raises(PromptError, match=said):
        interactor.candidate(scene(), *rows, None if box is None else np.array(box, float))


def test_it_finds_an_ellipse_at_its_own_pixels_in_a_large_image(interactor):
    """The mask has the image's edges, not the network's 128 pixels."""
    pixels = np.full((1200, 1600, 3), (60, 90, 70), np.uint8)
    truth = np.zeros((1200, 1600), np.uint8)
    for canvas, colour in ((pixels, (220, 190, 60)), (truth, 1)):
        cv2.ellipse(canvas, (800, 600), (500, 300), 0, 0, 360, colour, -1)
    clicks = np.array([[300.5, 600.5], [800.5, 300.5], [1300.5, 600.5], [800.5, 900.5]])

    found = interactor.candidate(pixels, clicks, NONE, None)
    frame = frame_of(found, (1200, 1600))

    assert (frame & (truth > 0)).sum() / (frame | (truth > 0)).sum() > 0.93
    assert found.confidence > 0.7


@pytest.mark.parametrize("mode", ["L", "I;16", "RGBA", "P", "CMYK"])
def test_any_image_is_answered(interactor, mode):
    pixels = scene()
    if mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 200)
    else:
        image = Image.fromarray(pixels).convert(mode)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF" if mode == "CMYK" else "PNG")
    clicks = np.array([[30.0, 40], [70, 10], [110, 50], [60, 80]])

    (found,), size = interactor.segment(buffer.getvalue(), positive=clicks, negative=NONE, box=None)

    assert size == (HEIGHT, WIDTH)
    assert frame_of(found).any()


def test_bytes_that_are_no_image_are_told_as_such(interactor):
    with pytest.raises(ImageError):
        interactor.segment(b"no image", positive=np.ones((4, 2)), negative=NONE, box=None)


def test_calls_side_by_side_answer_as_one_by_one(interactor):
    asked = [np.array([[20.0 + n, 40], [70, 10 + n], [110 - n, 50], [60, 80]]) for n in range(8)]
    data = cv2.imencode(".png", scene())[1].tobytes()

    def ask(clicks):
        return interactor.segment(data, positive=clicks, negative=NONE, box=None)[0][0]

    alone = [ask(clicks) for clicks in asked]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(ask, asked))

    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(frame_of(one), frame_of(other))


def test_the_cache_keeps_the_last_images_within_its_bytes():
    files = [cv2.imencode(".png", scene(seed))[1].tobytes() for seed in range(4)]
    one = HEIGHT * WIDTH * 3
    cache = ImageCache(max_bytes=2 * one + 10)

    first = cache.decode(files[0])
    assert cache.decode(files[0]) is first
    cache.decode(files[1])
    cache.decode(files[0])
    cache.decode(files[2])  # lets go of the one not asked for longest, files[1]

    assert cache.held_bytes == 2 * one
    assert cache.decode(files[0]) is first
    assert ImageCache(max_bytes=10).decode(files[3]).shape == (HEIGHT, WIDTH, 3)


def test_the_region_holds_all_clicks_with_room_around_them():
    clicks = np.array([[30.0, 40], [70, 38], [110, 41], [60, 44]])

    region = region_of(parse_clicks(clicks, NONE, None), (HEIGHT, WIDTH))

    assert (region[:2] < clicks.min(axis=0) - 2).all()
    assert (region[2:] > clicks.max(axis=0) + 2).all()
    sides = region[2:] - region[:2]
    assert sides.max() / sides.min() < 4


def test_the_shipped_weights_say_where_they_come_from():
    (entry,) = [found for found in shipped() if found.id == "extreme-points"]
    bundle = read_bundle(entry.bundle)

    assert sum(path.stat().st_size for path in bundle.path.iterdir()) <= 16_000_000
    assert bundle.card.licence
    learnt = {row["name"]: row for row in bundle.card.extra["data"]}
    assert set(learnt) == {"coco_seg200", "nuclei_seg", "ccp_seg", "open_seg"}
    assert all(row["licence"] and row["part"] == "train" for row in learnt.values())
    assert bundle.card.extra["recipe"].startswith(
        "python -m trainer.backends.extreme_points.recipe"
    )
    assert {f"iou4/{name}" for name in learnt} <= set(bundle.card.metrics)
