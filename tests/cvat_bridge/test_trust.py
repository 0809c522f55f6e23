"""Trust has steps: a model serves, it only informs the choice of frames, or neither."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from active_learning.choose import SelectionSettings
from cvat_bridge.home import Home
from cvat_bridge.ledger.records import Round
from cvat_bridge.loop.queueing import look
from cvat_bridge.loop.results import Results
from cvat_bridge.loop.status import describe
from cvat_bridge.loop.steps import carry_out
from cvat_bridge.loop.trust.levels import ModelTrust
from cvat_bridge.models.catalogue import ModelCatalogue
from cvat_bridge.models.serving import now_serving
from tests.fakes.spots import Spots
from trainer.registry.registry import Registry

# Found in three frames of eight: surely something, and less than the floor.
RARELY, FLOOR = {"red": lambda seed: seed % 8 < 3}, {"useful_ap50": 0.5}


@pytest.fixture(scope="module")
def empty_registry(tmp_path_factory) -> Path:
    """Return MLflow's file without a model; to make it takes most of the time of a test."""
    folder = tmp_path_factory.mktemp("registry")
    assert Registry(None, folder).keys() == []
    return folder / "mlflow.db"


@pytest.fixture
def home(tmp_path, empty_registry):
    made = Home(tmp_path / "home")
    made.root.mkdir()
    shutil.copy(empty_registry, made.root)
    return made


def go(spots: Spots, tmp_path, *, number: int = 1, fitted=None):
    """Go through a round whose fit leaves the model that finds spots."""
    parts = spots.parts
    parts.ledger.save_round(Round(number, spots.project.id, "started"))
    answers = {}
    for name in ("pull", "fit", "decide", "predict", "select", "prioritise", "preannotate"):
        if name == "fit":
            answers[name] = fitted or spots.learnt(tmp_path, number=number)
        else:
            answers[name] = carry_out(parts, name, number, Results.of(answers)).to_json()
    return answers


def status(spots: Spots):
    parts = spots.parts
    serving = now_serving(parts.config, parts.home, parts.ledger, parts.registry)
    return describe(parts.ledger, spots.project.id, serving)


def test_a_good_first_model_serves_at_once_and_pre_annotates(home, ledger, tmp_path):
    """Eight holdout frames, the share of forty labelled ones, are enough for a good one."""
    spots = Spots(home, ledger, {"red": lambda _: True}, holdout=8)

    answers = go(spots, tmp_path)

    decided = answers["decide"]
    assert decided["promoted"]
    assert decided["trust"]["level"] == "serves"
    assert decided["explanation"] == []
    assert answers["preannotate"]["proposed"] == {"red": 10}
    assert answers["select"]["phase"] == "uncertainty and diversity"
    assert status(spots)["trust"] == "serves"
    measured = ModelCatalogue(spots.parts.registry, home, home.functions).measured()
    assert measured[answers["fit"]["version"]] == decided["challenger"]
    assert decided["challenger"].keys() == {"ap", "ap50"}


def test_a_class_that_is_found_too_seldom_is_not_pre_annotated_and_people_are_told(
    home, ledger, tmp_path
):
    spots = Spots(home, ledger, {"red": lambda _: True, "green": lambda _: False})

    answers = go(spots, tmp_path)

    assert answers["decide"]["promoted"]
    assert answers["preannotate"]["proposed"] == {"red": 10}
    assert answers["decide"]["trust"]["withheld"].keys() == {"green"}
    assert status(spots)["withheld"] == {
        "green": "AP50 is 0.00 on 24 holdout objects, 0.20 is needed"
    }
    guide = spots.parts.gateway.guide(spots.project.id)
    assert "does not know 'green' well enough yet: please draw these yourself" in guide


def test_without_the_judgement_by_class_all_of_a_serving_model_is_proposed(home, ledger, tmp_path):
    right = {"red": lambda _: True, "green": lambda _: False}
    spots = Spots(home, ledger, right, pre_annotation={"by_class": False})

    assert go(spots, tmp_path)["preannotate"]["proposed"] == {"red": 10, "green": 10}


def test_a_model_too_weak_to_serve_still_chooses_frames_with_more_at_random(home, ledger, tmp_path):
    spots = Spots(home, ledger, RARELY, promotion=FLOOR)

    answers = go(spots, tmp_path)
    learnt, decided, chosen = answers["fit"], answers["decide"], answers["select"]
    arms = [row.arm for row in ledger.selection(1)]

    assert not decided["promoted"]
    assert decided["serves"] is None
    assert decided["trust"] == {"level": "informs", "model": learnt["version"], "withheld": {}}
    assert answers["predict"]["model"] == learnt["version"]
    assert chosen["phase"] == "uncertainty and diversity of a weak model"
    assert "too weak to serve: 40% of the batch is drawn at random" in chosen["advice"]
    assert arms.count("control") == 4
    assert answers["preannotate"]["proposed"] == {}
    assert look(spots.parts).phase == chosen["phase"]
    assert spots.parts.registry.champion(spots.parts.key) is None


def test_a_model_that_finds_nothing_neither_serves_nor_chooses(home, ledger, tmp_path):
    spots = Spots(home, ledger, {"red": lambda _: False})

    answers = go(spots, tmp_path)

    assert answers["decide"]["trust"] == {"level": "none", "model": None, "withheld": {}}
    assert answers["predict"]["model"] == "descriptor"
    assert answers["select"]["phase"] == "cold start"


def test_why_nothing_serves_is_told_by_status_and_in_the_guide_for_annotators(
    home, ledger, tmp_path
):
    spots = Spots(home, ledger, {"red": lambda _: False})
    go(spots, tmp_path)

    why = " ".join(status(spots)["why"])
    guide = spots.parts.gateway.guide(spots.project.id)

    assert "The model does not serve yet: AP50 0.01 on 24 holdout frames, 0.20 is needed." in why
    assert "Objects are 7 px wide at the model's input of 32 x 32" in why
    assert "'red' has 10 labelled examples; 20 are a fair start." in why
    assert "Nothing is drawn in advance yet" in guide
    assert "few examples of 'red'" in guide


def test_a_round_that_learns_nothing_says_why_and_the_last_challenger_goes_on_informing(
    home, ledger, tmp_path
):
    spots = Spots(home, ledger, RARELY, promotion=FLOOR)
    first = go(spots, tmp_path)
    nothing = {"bundle": None, "reason": "7 frames to train on, 8 are needed"}

    second = go(spots, tmp_path, number=2, fitted=nothing)["decide"]

    assert second["trust"] == first["decide"]["trust"]
    assert "7 frames to train on, 8 are needed" in second["explanation"][0]


def test_a_challenger_that_the_registry_lost_informs_nobody(home, ledger, tmp_path):
    spots = Spots(home, ledger, RARELY, promotion=FLOOR)
    go(spots, tmp_path)
    Registry(None, home.root).forget(spots.parts.key, [1])

    assert look(spots.parts).phase == "cold start"


def test_a_floor_that_the_team_set_decides_alone(home, ledger, tmp_path):
    spots = Spots(home, ledger, {"red": lambda _: False}, promotion={"min_first_metric": 0.0})

    answers = go(spots, tmp_path)

    assert answers["decide"]["promoted"]
    assert answers["decide"]["trust"]["level"] == "serves"


def test_a_team_without_a_control_arm_gets_none_of_a_weak_model_either(home, ledger, tmp_path):
    spots = Spots(
        home,
        ledger,
        RARELY,
        promotion=FLOOR,
        selection=SelectionSettings(control_share=0.0),
    )

    go(spots, tmp_path)

    assert {row.arm for row in ledger.selection(1)} == {"strategy"}


@pytest.mark.parametrize("serves", ["m1", None])
def test_a_round_decided_by_an_earlier_version_knows_two_levels(serves):
    trust = ModelTrust.of_answer({"serves": serves, "class_ap": None})

    assert (trust.level, trust.model) == (("serves", "m1") if serves else ("none", None))
