"""Fine-tuning on a few objects: what is kept of it, and that it loses nothing."""

import numpy as np
import pytest

from serverless.store.folders import shipped
from tests.trainer.shapes import shapes_dataset
from trainer.backends import backend
from trainer.backends.extreme_points.blending import SHARES, best_blend, interpolate, split_held_out
from trainer.backends.extreme_points.checkpoint import read_checkpoint
from trainer.backends.extreme_points.networks.architecture import build, new_network
from trainer.backends.extreme_points.object_crops import crop_objects
from trainer.bundles.bundle import read_bundle
from trainer.detector import FitConfig
from trainer.errors import ConfigError


@pytest.fixture(scope="module")
def general():
    """Return the shipped weights' bundle, and the network they make."""
    (entry,) = [found for found in shipped() if found.id == "extreme-points"]
    return entry.bundle, build(*read_checkpoint(entry.bundle))


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    dataset = shapes_dataset(tmp_path_factory.mktemp("shapes") / "d", train=24, holdout=0)
    cut = {"most": None, "seed": 0, "on_done": lambda _: None}
    return crop_objects(dataset, dataset.split("train"), **cut)


def test_what_makes_it_worse_is_not_kept_and_what_makes_it_better_is(general, things):
    good = {k: v.clone() for k, v in general[1].state_dict().items()}
    spoilt = new_network("lite0", width=general[1].width).state_dict()
    network = new_network("lite0", width=general[1].width)

    lost = best_blend(network, good, spoilt, things, size=64, seed=1)
    gained = best_blend(network, spoilt, good, things, size=64, seed=1)

    assert lost.share == 0
    assert gained.share == 1
    assert set(lost.ious) == set(SHARES)
    assert lost.ious[0.0] == pytest.approx(gained.ious[1.0])
    assert gained.ious[1.0] > gained.ious[0.0] + 0.2


def test_too_few_objects_decide_nothing_and_the_middle_is_taken(general, things):
    weights = general[1].state_dict()

    found = best_blend(general[1], weights, weights, things[:3], size=64, seed=1)

    assert (found.share, found.objects) == (0.5, 3)


def test_the_line_begins_at_the_base_and_ends_at_the_fit(general):
    base = general[1].state_dict()
    fitted = new_network("lite0", width=general[1].width).state_dict()

    for share, wanted in ((0.0, base), (1.0, fitted)):
        found = interpolate(base, fitted, share)
        names = [name for name in wanted if wanted[name].is_floating_point()]
        assert all(np.allclose(found[k].numpy(), wanted[k].numpy(), atol=1e-6) for k in names)


def test_held_out_images_are_not_learnt_from(things):
    images = [*range(20)]

    learnt, held = split_held_out(images, 0.2, seed=3)

    assert len(held) == 4
    assert sorted(learnt + held) == images
    assert split_held_out(images, 0.2, seed=3) == (learnt, held)
    assert split_held_out([1], 0.9, seed=3) == ((1,), ())


def test_a_fine_tuned_bundle_says_what_was_kept_and_still_norms_stay_the_bases(general, tmp_path):
    dataset = shapes_dataset(tmp_path / "d", train=12, holdout=0)
    extra = {"steps": 3, "freeze_norm": True, "held_out": 0.4, "backbone": "lite0"}
    config = FitConfig(
        "extreme_points", batch_size=4, image_size=(64, 64), base=general[0], extra=extra
    )
    learner = backend("extreme_points")

    checkpoint = learner.fit(dataset, config, run_dir=tmp_path / "run", report=lambda _: None)
    bundle = learner.export(checkpoint, tmp_path / "bundle", card={})

    blend = read_bundle(bundle.path).card.extra["blend"]
    assert blend["share"] in SHARES
    assert blend["objects"] > 0
    before, after = general[1].state_dict(), read_checkpoint(checkpoint)[0]
    statistics = [name for name in before if "running" in name]
    assert statistics
    assert all(np.allclose(before[n].numpy(), after[n].numpy(), atol=1e-6) for n in statistics)


def test_holding_out_and_still_norms_need_a_base(tmp_path):
    config = FitConfig("extreme_points", batch_size=4, image_size=(64, 64), extra={"held_out": 0.2})

    with pytest.raises(ConfigError, match="need base weights"):
        backend("extreme_points").check(config)
