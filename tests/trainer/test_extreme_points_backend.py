"""The extreme_points backend: networks, simulated annotators, composed scenes, bases."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

import trainer
from serverless.store.folders import shipped
from tests.trainer.shapes import picture, shapes_dataset
from trainer.backends import backend
from trainer.backends.extreme_points.click_samples import ClickAugmentation, sample
from trainer.backends.extreme_points.corrections import with_correction, with_corrupted_mask
from trainer.backends.extreme_points.networks.architecture import channels_of, new_network
from trainer.backends.extreme_points.networks.backbone import PUBLISHED, published
from trainer.backends.extreme_points.object_crops import crop_object, rim_of
from trainer.backends.extreme_points.scenes import composed_shape, paste_object
from trainer.backends.features.pretrained import lite0
from trainer.backends.learning.onnx_writing import store_in_half, write_onnx
from trainer.detector import FitConfig
from trainer.engines.interactor.clicks import CHANNELS
from trainer.engines.interactor.correcting.evidence import CORRECTING
from trainer.engines.interactor.extreme_points import load
from trainer.engines.runtime import open_session
from trainer.errors import ConfigError, TrainingError

TINY = FitConfig("extreme_points", batch_size=4, image_size=(32, 32), extra={"steps": 2})


def cutout(seed=0, *, side=60):
    pixels = picture(np.random.default_rng(seed), height=120, width=160)[0]
    mask = np.zeros((120, 160), bool)
    mask[30 : 30 + side, 50 : 50 + side // 2] = True
    return crop_object(pixels, mask)


@pytest.mark.parametrize("name", ["", "lite0", "resnet18", "mobilenet_v3_large"])
def test_every_network_answers_a_mask_of_its_input_and_judges_it(name):
    network = new_network(name, width=8).eval()

    with torch.no_grad():
        found = network(torch.randn(2, channels_of(network), 64, 64))

    assert found.logits.shape == (2, 1, 64, 64)
    assert found.quality.shape == (2,)


def test_the_iou_head_does_not_change_the_features():
    network = new_network("", width=8)

    network(torch.randn(2, CHANNELS, 32, 32)).quality.sum().backward()

    bent = [name for name, p in network.named_parameters() if p.grad is not None]
    assert bent
    assert all(name.startswith("iou_head.") for name in bent)


def test_the_learnt_encoder_sees_the_image_alone_until_its_joints_have_learnt():
    """At first neither clicks nor the mask before change what the encoder knows."""
    network = new_network("lite0", width=8, pretrained=True).eval()
    seen = torch.randn(1, CORRECTING, 64, 64)
    other = seen.clone()
    other[:, 3:] = torch.randn(1, CORRECTING - 3, 64, 64)
    known = lite0(frozen=0).eval()

    with torch.no_grad():
        half, quarter, eighth, sixteenth, _ = known(seen[:, :3] * 64.0 + 115.0)
        levels = [
            network._encoded(one[:, :3] * 64.0 + 115.0, *_hints(network, one))
            for one in (seen, other)
        ]

    for found in levels:
        for level, wanted in zip(found[:4], (half, quarter, eighth, sixteenth), strict=True):
            assert torch.allclose(level, wanted, atol=1e-4)


def test_a_fit_of_the_correcting_network_is_served_with_the_mask_before(tmp_path):
    """From a fit through its bundle to a correction; the next fit begins with that bundle."""
    dataset = shapes_dataset(tmp_path / "d", train=6, holdout=0)
    extra = {"steps": 2, "width": 4, "backbone": "lite0", "pretrained": True, "corrupted": 1.0}
    config = dataclasses.replace(TINY, image_size=(64, 64), extra=extra)
    learner = backend("extreme_points")

    checkpoint = learner.fit(dataset, config, run_dir=tmp_path / "run", report=lambda _: None)
    bundle = learner.export(checkpoint, tmp_path / "bundle", card={})
    engine = load(bundle, threads=1)
    pixels = picture(np.random.default_rng(1), height=120, width=160)[0]
    pixels.flags.writeable = False
    four = np.array([[40.5, 60.5], [80.5, 30.5], [120.5, 60.5], [80.5, 90.5]])
    first = engine.candidate(pixels, four, np.zeros((0, 2)), None)
    second = engine.candidate(pixels, four, np.array([[70.5, 60.5]]), None)

    assert first.mask.bitmap.any()
    assert not second.mask.bitmap[60 - second.mask.top, 70 - second.mask.left]
    again = dataclasses.replace(config, base=bundle.path, extra={**extra, "pretrained": False})
    assert learner.fit(dataset, again, run_dir=tmp_path / "two", report=lambda _: None).exists()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_to_be_corrected_errs_and_the_clicks_say_where(seed):
    rng = np.random.default_rng(seed)
    one = sample(
        cutout(),
        96,
        ClickAugmentation(exact_share=1.0, corrected=0.0, boxes=0.0, single_click=0.0),
        rng,
    )

    found = with_corrupted_mask(one, rng)

    assert found.before.shape == one.mask.shape
    assert 0 <= found.before.min() <= found.before.max() <= 1
    assert len(found.prompt.inside) + len(found.prompt.outside) > 0
    assert all(one.mask[int(y), int(x)] for x, y in found.prompt.inside)
    assert not any(one.mask[int(y), int(x)] for x, y in found.prompt.outside)
    seen = found.seen(CORRECTING)
    assert np.array_equal(seen[:CHANNELS], found.seen())
    assert np.allclose(seen[CHANNELS], 2 * found.before - 1)


def test_an_answer_is_clicked_where_it_errs():
    one = sample(
        cutout(), 96, ClickAugmentation(exact_share=1.0, corrected=0.0), np.random.default_rng(2)
    )
    nothing, everything = np.zeros((96, 96), np.float32), np.ones((96, 96), np.float32)

    missing = [
        with_correction(one, nothing, np.random.default_rng(n)).prompt.inside for n in range(9)
    ]
    too_much = [
        with_correction(one, everything, np.random.default_rng(n)).prompt.outside for n in range(9)
    ]

    assert sum(len(points) for points in missing) >= 4
    assert sum(len(points) for points in too_much) >= 4
    assert all(one.mask[int(y), int(x)] for points in missing for x, y in points)
    assert not any(one.mask[int(y), int(x)] for points in too_much for x, y in points)


def test_weights_kept_in_half_answer_as_the_network_does(tmp_path):
    network = new_network("", width=16).eval()
    seen = torch.randn(1, CHANNELS, 64, 64)
    path = tmp_path / "model.onnx"
    write_onnx(network, (seen,), path, inputs=["seen"], outputs=["mask", "quality"], free={})
    whole = path.stat().st_size

    store_in_half(path)

    (mask, _) = open_session(path, threads=1).run(None, {"seen": seen.numpy()})
    with torch.no_grad():
        wanted = network(seen).logits.numpy()
    assert path.stat().st_size < 0.6 * whole
    assert np.abs(mask - wanted).max() < 0.02 * np.abs(wanted).max() + 0.01


def _hints(network, seen):
    half = network.hints[0](torch.nn.functional.pixel_unshuffle(seen, 2))
    quarter = network.hints[1](half)
    return quarter, network.hints[2](quarter)


def test_published_weights_that_are_not_the_pinned_ones_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"something else")

    with pytest.raises(TrainingError, match="expected sha256 f37072fd"):
        published("resnet18")


def test_the_lock_file_holds_what_the_code_pins():
    lock = Path(trainer.__file__).parents[1] / "deploy" / "weights.lock"
    rows = [line.split() for line in lock.read_text().splitlines() if line[:1] not in ("#", "")]

    pinned = {row[0].split("-")[0]: row[1] for row in rows}
    assert {name: pinned[name] for name in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize("seed", range(12))
def test_a_simulated_annotator_clicks_what_the_mask_says(seed):
    """Without jitter the extreme points lie on the mask's border, corrections on their side."""
    how = ClickAugmentation(exact_share=1.0, boxes=0.0, single_click=0.0, corrected=1.0)

    found = sample(cutout(), 96, how, np.random.default_rng(seed))

    assert found.mask.any()
    near = np.pad(found.mask, 3)
    for x, y in found.prompt.extremes:
        around = near[int(y) : int(y) + 7, int(x) : int(x) + 7]
        assert around.any()
        assert not around.all()
    inside = [tuple(p) for p in found.prompt.inside]
    extremes = [tuple(p) for p in found.prompt.extremes]
    assert all(found.mask[int(y), int(x)] for x, y in inside if (x, y) not in extremes)
    assert not any(found.mask[int(y), int(x)] for x, y in found.prompt.outside)
    assert found.seen().shape == (CHANNELS, 96, 96)
    assert np.isfinite(found.seen()).all()


def test_a_hand_errs_by_pixels_of_the_image_however_small_the_object():
    """The same hand misses a small object by a larger share, but by no more than a third of it."""
    none = {
        "boxes": 0.0,
        "single_click": 0.0,
        "corrected": 0.0,
        "relative_jitter": 0.0,
        "exact_share": 0.0,
    }
    how = ClickAugmentation(**none, click_jitter=6.0)

    def missed(thing):
        """Return how far the extreme points lie from the mask's border, in its own sides."""
        shares = []
        for seed in range(30):
            found = sample(thing, 96, how, np.random.default_rng(seed))
            ys, xs = np.nonzero(found.mask)
            sides = np.array([np.ptp(xs), np.ptp(ys)])
            first, last = np.array([xs.min(), ys.min()]), np.array([xs.max(), ys.max()]) + 1
            shares.append(np.abs(found.prompt.box.reshape(2, 2) - [first, last]) / sides)
        return np.array(shares)

    small, large = missed(cutout(side=24)), missed(cutout(side=60))

    assert small.mean() > 1.3 * large.mean() > 0
    assert small.max() < 0.55
    assert cutout(side=60).scale == 1.0


def test_a_large_object_is_kept_smaller_and_says_by_how_much():
    mask = np.zeros((400, 500), bool)
    mask[50:350, 100:400] = True

    kept = crop_object(np.zeros((400, 500, 3), np.uint8), mask)

    assert kept.scale == pytest.approx(kept.mask.sum() ** 0.5 / 300, rel=0.03)


def test_the_same_draw_gives_the_same_sample():
    one, other = (
        sample(cutout(), 64, ClickAugmentation(), np.random.default_rng(3)) for _ in range(2)
    )

    assert np.array_equal(one.seen(), other.seen())
    assert np.array_equal(one.mask, other.mask)


@pytest.mark.parametrize("seed", range(6))
def test_composed_scenes_keep_their_mask_exact(seed):
    rng = np.random.default_rng(seed)
    thing, behind = cutout(seed), cutout(seed + 50, side=40)

    on_another, made = paste_object(thing, behind, rng), composed_shape(thing, behind, rng)

    assert np.array_equal(on_another.mask, thing.mask)
    assert made.mask.sum() >= 200
    assert np.array_equal(made.rim, rim_of(made.mask))


def test_a_base_of_another_width_is_refused(tmp_path):
    dataset = shapes_dataset(tmp_path / "d", train=8, holdout=0)
    (entry,) = [found for found in shipped() if found.id == "extreme-points"]
    config = dataclasses.replace(TINY, base=entry.bundle, extra={"steps": 2, "width": 4})

    with pytest.raises(ConfigError, match=r"set extra\.backbone and extra\.width"):
        backend("extreme_points").fit(
            dataset, config, run_dir=tmp_path / "run", report=lambda _: None
        )


def test_every_fault_of_the_settings_is_told_at_once(tmp_path):
    dataset = shapes_dataset(tmp_path / "d", train=2, holdout=0)
    extra = {"width": "wide", "backbone": "vgg", "boxes": True, "size": 3}
    config = dataclasses.replace(TINY, extra=extra)

    with pytest.raises(ConfigError) as found:
        backend("extreme_points").fit(
            dataset, config, run_dir=tmp_path / "run", report=lambda _: None
        )

    assert len(found.value.faults) == 4


def test_a_stopped_fit_goes_on_and_ends_as_one_that_was_not(tmp_path):
    """Batches are a function of seed and step, so a stop changes nothing."""
    dataset = shapes_dataset(tmp_path / "d", train=8, holdout=0)
    config = dataclasses.replace(TINY, extra={"steps": 4, "width": 4})
    learner = backend("extreme_points")

    def stop(progress):
        if progress.stage == "fit" and progress.done == 2:
            (tmp_path / "two" / "stop").touch()

    whole = learner.fit(dataset, config, run_dir=tmp_path / "one", report=lambda _: None)
    learner.fit(dataset, config, run_dir=tmp_path / "two", report=stop)
    (tmp_path / "two" / "stop").unlink()
    parts = learner.fit(dataset, config, run_dir=tmp_path / "two", report=lambda _: None)

    with np.load(whole) as one, np.load(parts) as other:
        names = [name for name in one.files if name != "__meta__"]
        assert names
        for name in names:
            assert np.allclose(one[name], other[name], atol=1e-5), name
