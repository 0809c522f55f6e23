"""What version 0.1 wrote under other names is still read: settings, checkpoints, states."""

import dataclasses
import warnings

import pytest
import torch

from serverless.store.folders import GENERAL_INTERACTOR, shipped
from tests.trainer.shapes import shapes_dataset
from trainer.backends import backend
from trainer.backends.extreme_points.checkpoint import read_checkpoint
from trainer.backends.extreme_points.networks.architecture import build
from trainer.backends.extreme_points.settings import ExtremePointsSettings, read_settings
from trainer.backends.learning.state import STATE, former_key
from trainer.detector import FitConfig
from trainer.renamed import SETTINGS, current_parameters, current_settings
from trainer.runs.fit_settings import fit_config

OLD = {"tremble": 3.0, "steady": 0.5, "spoilt": 0.1, "most": 50, "steps": 2}
NEW = {"click_jitter": 3.0, "exact_share": 0.5, "corrupted": 0.1, "max_objects": 50, "steps": 2}


def test_old_settings_are_read_with_a_warning_for_each():
    values = {"backend": "extreme_points", "image_size": "64x64", "extra": OLD}

    with pytest.warns(FutureWarning) as told:
        config = fit_config(values)

    assert config.extra == NEW
    assert sorted(str(w.message).split(" is now")[0] for w in told) == [
        "extra: most",
        "extra: spoilt",
        "extra: steady",
        "extra: tremble",
    ]


def test_old_run_folders_and_cards_are_read_without_a_word():
    written = FitConfig("extreme_points", image_size=(64, 64), extra=OLD)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = FitConfig.from_json(written.to_json())
        settings = read_settings(written)

    assert read.extra == NEW
    assert settings == read_settings(read)


def test_the_new_name_wins_and_every_new_name_is_a_setting():
    assert current_settings("extreme_points", {"most": 1, "max_objects": 2}) == {"max_objects": 2}
    assert current_settings("yolo", {"most": 1}) == {"most": 1}
    fields = {field.name for field in dataclasses.fields(ExtremePointsSettings)}
    assert set(SETTINGS["extreme_points"].values()) <= fields
    assert not set(SETTINGS["extreme_points"]) & fields


def test_the_weights_that_ship_have_old_names_and_load():
    entry = next(one for one in shipped() if one.id == GENERAL_INTERACTOR)

    weights, meta = read_checkpoint(entry.bundle)
    network = build(weights, meta)

    assert any(name.startswith("iou_head.") for name in weights)
    assert network.state_dict().keys() == weights.keys()
    assert list(current_parameters({"judge.x": 1, "a.judge.x": 2})) == ["iou_head.x", "a.judge.x"]


def test_a_fit_that_an_earlier_version_began_goes_on(tmp_path):
    """The state's key and tensors are put back to what version 0.1 wrote."""
    dataset = shapes_dataset(tmp_path / "d", train=4, holdout=0)
    extra = {"steps": 3, "width": 4, "corrupted": 0.1}
    config = FitConfig("extreme_points", batch_size=2, image_size=(32, 32), extra=extra)
    learner, run = backend("extreme_points"), tmp_path / "run"
    run.mkdir()

    def stop(step):
        if step.stage == "fit":
            (run / "stop").touch()

    learner.fit(dataset, config, run_dir=run, report=stop)
    state = torch.load(run / STATE, weights_only=True)
    state["key"] = former_key(dataset, config)
    for part in ("network", "average"):
        state[part] = {k.replace("iou_head.", "judge."): v for k, v in state[part].items()}
    torch.save(state, run / STATE)
    (run / "stop").unlink()
    steps = []
    learner.fit(
        dataset,
        config,
        run_dir=run,
        report=lambda step: steps.append(step.done) if step.stage == "fit" else None,
    )

    assert state["step"] == 1
    assert steps == [2, 3]
