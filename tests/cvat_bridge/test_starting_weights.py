"""From which model a fit begins, and what happens where the trainer cannot begin from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cvat_bridge.config import TrainerSection
from cvat_bridge.ledger.records import Round
from cvat_bridge.loop.results import Results
from cvat_bridge.loop.steps import carry_out
from cvat_bridge.loop.trust.starting_weights import starting_model
from tests.fakes.spots import Spots
from tests.serverless.bright_spots import bright_spots
from trainer.bundles.bundle import read_bundle
from trainer.registry.registry import Registry

WARM = TrainerSection.of({"warm_start": True})
TINY = {
    "warm_start": True,
    "image_size": (32, 32),
    "batch_size": 4,
    "min_frames": 4,
    "extra": {"steps": 3, "width": 8},
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Registry:
    """Return challengers of rounds 1 and 2, and a newer version that a person learnt by hand."""
    folder = tmp_path_factory.mktemp("registry")
    made = Registry(None, folder)
    for gain, params in ((4.0, {"round": 1}), (5.0, {"round": 2}), (6.0, {})):
        made.register("p", bright_spots(folder / f"made-{gain}", gain=gain), params=params)
    return made


@pytest.mark.parametrize(
    ("number", "origin", "version"),
    [(1, "backend", None), (2, "challenger", 1), (3, "challenger", 2), (9, "challenger", 2)],
)
def test_while_nothing_serves_it_is_the_challenger_of_the_last_round(
    registry, number, origin, version
):
    """Not the round's own, which a repeated step finds there, and not one that a person learnt."""
    found = starting_model(registry, "p", WARM, number=number)

    assert (found.origin, found.version) == (origin, version)
    assert found.weights == (registry.show("p", version).path if version else None)


def test_without_warm_start_it_is_what_the_configuration_names(registry):
    named = TrainerSection.of({"base": "/weights/base.pt"})

    assert starting_model(registry, "p", TrainerSection.of({}), number=3).origin == "backend"
    assert starting_model(registry, "p", named, number=3).weights == named.base
    assert starting_model(registry, "p", replace(named, warm_start=True), number=1) == (
        starting_model(registry, "p", named, number=1)
    )


def test_a_model_that_serves_comes_before_any_challenger(registry):
    key = "q"
    for gain, number in ((4.0, 1), (5.0, 2)):
        bundle = bright_spots(registry.artifact_root / f"q-{gain}", gain=gain)
        registry.register(key, bundle, params={"round": number})
    registry.promote(key, 1)

    found = starting_model(registry, key, WARM, number=3)

    assert (found.origin, found.version) == ("champion", 1)


def test_a_refused_challenger_does_not_fail_the_fit(home, ledger, tmp_path):
    """A network without weights to learn on from: the fit begins as the first one did."""
    spots = Spots(home, ledger, {"red": lambda _: True}, trainer=TINY)
    parts = spots.parts
    spots.learnt(tmp_path, number=1)
    parts.ledger.save_round(Round(2, spots.project.id, "started"))

    pulled = carry_out(parts, "pull", 2, Results())
    fitted = carry_out(parts, "fit", 2, Results(pull=pulled))

    (row,) = parts.ledger.rounds()
    began = row.figures["began"]
    assert (began["origin"], began["version"]) == ("backend", None)
    assert began["words"].startswith("version 1 was refused as a beginning (")
    assert "expected a file weights" in began["words"]
    assert began["words"].endswith("the fit began with centernet's own features")
    assert read_bundle(Path(fitted.bundle)).card.base == ""
