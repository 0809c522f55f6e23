"""A holdout that repeats what was learnt is told, whatever hides the repetition."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.trainer.drawn_models import draw_holdout, draw_model
from tests.trainer.shapes import LABELS, picture
from trainer.data.annotations import AnnotatedImage
from trainer.data.leakage import find_leaks
from trainer.data.snapshot import write_dataset
from trainer.gate.promote import GateSettings, decide


def pixels(count: int) -> list[np.ndarray]:
    """Pictures that are truly unlike: each is smoothed noise of its own."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(count):
        coarse = rng.integers(0, 255, (9, 12, 3)).astype(np.uint8)
        smooth = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
        found.append(np.where(picture(rng)[0] > 190, 255, smooth).astype(np.uint8))
    return found


def dataset(folder, frames):
    """Write frames given as (name, pixels, split, group)."""
    originals = folder / "originals"
    originals.mkdir(parents=True)
    images, sources = [], {}
    for name, image, split, group in frames:
        sources[name] = originals / name
        cv2.imwrite(str(sources[name]), image)
        height, width = image.shape[:2]
        images.append(AnnotatedImage(name, width, height, split, group))
    return write_dataset(folder / "data", labels=LABELS, images=images, sources=sources)


def test_unlike_pictures_do_not_leak(tmp_path):
    frames = [
        (f"{n}.png", image, "holdout" if n > 5 else "train", None)
        for n, image in enumerate(pixels(10))
    ]
    found = find_leaks(dataset(tmp_path, frames))

    assert (found.evaluated, found.trained_on, found.leaks, found.notes) == (4, 6, (), ())


def test_a_recompressed_and_scaled_copy_leaks_and_names_its_original(tmp_path):
    images = pixels(6)
    small = cv2.resize(images[2], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    frames = [(f"{n}.png", image, "train", None) for n, image in enumerate(images[:4])]
    frames += [("copy.jpg", small, "holdout", None), ("new.png", images[5], "holdout", None)]
    found = find_leaks(dataset(tmp_path, frames))

    assert [(leak.evaluated, leak.trained_on) for leak in found.leaks] == [("copy.jpg", "2.png")]
    assert found.share == 0.5
    assert "1 of 2 holdout frames" in found.notes[0]


def test_a_frame_of_the_same_video_leaks_though_it_looks_otherwise(tmp_path):
    a, b, c = pixels(3)
    frames = [("a.png", a, "val", "clip"), ("b.png", b, "test", "clip"), ("c.png", c, "test", None)]
    found = find_leaks(dataset(tmp_path, frames), split="test")

    assert [(x.evaluated, x.trained_on, x.bits) for x in found.leaks] == [("b.png", "a.png", None)]


def test_known_hashes_are_taken_instead_of_reading(tmp_path):
    a, b = pixels(2)
    data = dataset(tmp_path, [("a.png", a, "train", None), ("b.png", b, "holdout", None)])
    for image in data.images:
        data.file(image).unlink()
    found = find_leaks(data, known={"a.png": "00" * 32, "b.png": "00" * 31 + "07"})

    assert [leak.bits for leak in found.leaks] == [3]


@pytest.mark.parametrize(("most", "promoted"), [(0.6, True), (0.4, False)])
def test_the_gate_records_leaks_warns_and_refuses_a_holdout_that_leaks_too_much(
    tmp_path, most, promoted
):
    rng = np.random.default_rng(1)
    holdout = draw_holdout(rng, 60)
    models = [draw_model(rng, holdout, skill=skill) for skill in (0.0, 0.8)]
    a, b = pixels(2)
    frames = [("a.png", a, "train", None), ("b.png", a, "holdout", None)]
    leakage = find_leaks(dataset(tmp_path, [*frames, ("c.png", b, "holdout", None)]))
    settings = GateSettings(resamples=100, max_leak_share=most)
    decision = decide(*models, settings, rng=rng, leakage=leakage)

    assert decision.promoted is promoted
    assert any("b.png is a.png" in reason for reason in decision.reasons)
    assert decision.figures["leakage"]["share"] == 0.5
    assert decide(*models, settings, rng=rng).figures["leakage"] is None
