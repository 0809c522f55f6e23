"""Another package adds a strategy, a backend and an engine; CONTRIBUTING.md's examples run."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from active_learning import strategies
from active_learning.choose import SelectionSettings, choose
from active_learning.errors import ExtensionError, UnknownStrategyError
from active_learning.pool import Objects, Pool, ProjectState
from tests.packaging.team import install, install_team
from tests.trainer.shapes import shapes_dataset
from trainer import backends, engines
from trainer.bundles.bundle import write_bundle
from trainer.errors import BundleError, ConfigError
from trainer.runs.fit_settings import fit_config
from trainer.runs.run import run_fit


@pytest.fixture
def site(tmp_path, monkeypatch) -> Path:
    """A folder on sys.path to install into; what was imported from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def pool(counts: list[int]) -> Pool:
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Pool(
        ids=np.array([f"frame-{i}" for i in range(len(counts))]),
        embeddings=np.random.default_rng(0).normal(size=(len(counts), 4)),
        objects=Objects(offsets=offsets, probabilities=np.full((offsets[-1], 1), 0.6)),
    )


def test_a_strategy_of_another_package_chooses_by_its_name(site):
    install_team(site)

    batch = choose(
        pool([1, 5, 0, 3]),
        budget=2,
        seed=1,
        state=ProjectState(labelled=100, trusted=True, class_names=("cell",)),
        settings=SelectionSettings(strategy="crowded_first", control_share=0.0),
    )

    assert list(batch.ids) == ["frame-1", "frame-3"]
    assert batch.reasons == ("5 objects", "3 objects")
    assert "crowded_first" in strategies.names()
    assert not strategies.reads_disagreement("crowded_first")


def test_a_backend_and_an_engine_of_another_package_learn_and_serve(site, tmp_path):
    install_team(site)
    data = shapes_dataset(tmp_path / "data", train=12, holdout=4)

    outcome = run_fit(
        data.path,
        fit_config({"backend": "usual_boxes"}),
        tmp_path / "run",
        report=lambda _step: None,
    )

    detector = engines.load(outcome.bundle)
    (answer,) = detector.detect([np.zeros((96, 128, 3), np.uint8)], min_score=0.0)
    assert outcome.bundle.card.engine == "usual_boxes"
    assert outcome.evaluation is not None
    assert sorted(answer.class_ids) == [0, 1]
    assert answer.boxes[:, 2].max() <= 128
    with pytest.raises(ConfigError, match=r"extra\.steps: usual_boxes has no such setting"):
        fit_config({"backend": "usual_boxes", "extra": {"steps": 3}, "epochs": "many"})


def test_a_name_of_ours_is_refused_and_both_packages_are_named(site, tmp_path):
    groups = {
        strategies.GROUP: {"random": "other:thing"},
        backends.GROUP: {"centernet": "other:thing"},
        engines.GROUP: {"centernet": "other:thing"},
    }
    install(site, {"other.py": "thing = 1\n"}, groups, "other-al")
    weights = tmp_path / "model.onnx"
    weights.write_text("x")
    bundle = write_bundle(
        tmp_path / "bundle",
        files={"model.onnx": weights},
        name="m",
        engine="centernet",
        task="boxes",
        labels=["a"],
        input_size=(8, 8),
    )

    said = r"'{}' is provided by other-al and by {}; names are unique"
    with pytest.raises(ExtensionError, match=said.format("random", "active_learning")):
        strategies.strategy("random")
    with pytest.raises(ConfigError, match=said.format("centernet", "trainer")):
        backends.backend("centernet")
    with pytest.raises(BundleError, match=said.format("centernet", "trainer")):
        engines.load(bundle)
    assert callable(strategies.strategy("k_center"))


def test_what_cannot_be_imported_or_called_is_named_with_its_package(site):
    groups = {
        strategies.GROUP: {"gone": "other:absent", "number": "other:thing"},
        backends.GROUP: {"gone": "nowhere:BACKEND"},
    }
    install(site, {"other.py": "thing = 1\n"}, groups, "other-al")

    with pytest.raises(ExtensionError, match=r"'gone' of other-al \(other:absent\) cannot be imp"):
        strategies.strategy("gone")
    with pytest.raises(ExtensionError, match=r"'number' of other-al .* must be a function"):
        strategies.strategy("number")
    with pytest.raises(ConfigError, match=r"'gone' of other-al \(nowhere:BACKEND\) cannot be imp"):
        backends.backend("gone")


def test_a_name_that_nobody_offers_lists_those_of_other_packages_too(site):
    install_team(site)

    with pytest.raises(UnknownStrategyError, match="crowded_first"):
        strategies.strategy("crowded_last")
    with pytest.raises(ConfigError, match="usual_boxes"):
        backends.backend("unusual_boxes")
