"""The interactor learns a project: learnt, judged, published in its own place, rolled back."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvat_bridge.home import Home
from cvat_bridge.training.micro_model import key_of, learn_interactor, publish_interactor
from serverless.host.models import load
from serverless.store.folders import shipped
from serverless.store.functions import entries
from tests.trainer.shapes import shapes_dataset
from trainer.bundles.bundle import read_bundle, write_bundle
from trainer.registry.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(None, tmp_path / "registry")


def _learn(data: Path, tmp_path: Path, registry: Registry, *, seconds: float = 2.0):
    return learn_interactor(
        data,
        number=1,
        project_key="project-3",
        project_name="Leaves",
        registry=registry,
        home=Home(tmp_path / "home"),
        store=tmp_path / "store",
        time_limit=seconds,
    )


def test_too_few_masks_leave_the_general_one_in_its_place(tmp_path: Path, registry: Registry):
    shapes_dataset(tmp_path / "d", train=3, holdout=2)

    done = _learn(tmp_path / "d", tmp_path, registry)

    assert (done.promoted, done.serves) == (False, None)
    assert "masks to learn from" in done.reasons[0]
    assert registry.versions(key_of("project-3")) == []
    assert entries(tmp_path / "store") == ()


def test_a_project_with_masks_gets_a_challenger_that_is_judged(tmp_path: Path, registry: Registry):
    """Registered in any case; offered in CVAT only if it won; a second go does not learn again."""
    shapes_dataset(tmp_path / "d", train=24, holdout=16)

    done = _learn(tmp_path / "d", tmp_path, registry)
    again = _learn(tmp_path / "d", tmp_path, registry)

    (version,) = registry.versions(key_of("project-3"))
    assert set(done.iou4) == {"champion", "challenger"}
    assert all(0.3 < value <= 1 for value in done.iou4.values() if value is not None)
    assert "IoU at four points" in done.reasons[0]
    assert done.serves == (version.bundle if done.promoted else None)
    assert again.serves == done.serves
    offered = entries(tmp_path / "store")
    assert [entry.version for entry in offered] == ([version.bundle] if done.promoted else [])


def test_what_the_registry_rolls_back_to_is_what_is_offered(tmp_path: Path, registry: Registry):
    """Under the project's own name; the general one's help and settings go with it."""
    (told,) = [entry for entry in shipped() if entry.id == "extreme-points"]
    general = read_bundle(told.bundle)
    other = write_bundle(
        tmp_path / "other",
        files={name: general.file(name) for name in general.card.files},
        **{
            **{k: v for k, v in vars(general.card).items() if k not in ("files", "created")},
            "name": "learnt in round 2",
        },
    )
    key, store = key_of("project-3"), tmp_path / "store"
    for bundle in (general, other):
        registry.register(key, bundle)
        registry.promote(key, bundle.version)

    def offered():
        champion = registry.champion(key)
        publish_interactor(store, project_key="project-3", project_name="Leaves", champion=champion)
        (entry,) = entries(store)
        return entry

    before = offered()
    registry.rollback(key)
    after = offered()
    publish_interactor(store, project_key="project-3", project_name="Leaves", champion=None)

    assert (before.version, after.version) == (other.version, general.version)
    assert before.id == after.id == "extreme-points-project-3"
    assert before.name == "Extreme points · Leaves"
    assert before.annotations == told.annotations
    assert load(after).version == general.version
    assert entries(store) == ()
