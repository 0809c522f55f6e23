"""From which model a fit begins, and what happens where the trainer cannot begin from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cvat_bridge.config import TrainerSection
from cvat_bridge.ledger.records import Round
from cvat_bridge.round.learning import fit_step, pull_step
from cvat_bridge.round.trust.beginning import beginning
from tests.fakes.spots import Spots
from tests.serverless.bright_spots import bright_spots
from trainer.bundle import read_bundle
from trainer.registry import Registry

WARM = TrainerSection(warm_start=True)
TINY = {
    "warm_start": True,
    "image_size": (32, 32),
    "batch_size": 4,
    "min_frames": 4,
    "extra": {"steps": 3, "width": 8},
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Registry:
    """Give challengers of rounds 1 and 2, and a newer version that a person learnt by hand."""
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
    found = beginning(registry, "p", WARM, number=number)

    assert (found.origin, found.version) == (origin, version)
    assert found.weights == (registry.show("p", version).path if version else None)


def test_without_warm_start_it_is_what_the_configuration_names(registry):
    named = TrainerSection(base=Path("/weights/base.pt"))

    assert beginning(registry, "p", TrainerSection(), number=3).origin == "backend"
    assert beginning(registry, "p", named, number=3).weights == named.base
    assert beginning(registry, "p", named.model_copy(update={"warm_start": True}), number=1) == (
        beginning(registry, "p", named, number=1)
    )


def test_a_model_that_serves_comes_before_any_challenger(registry):
    key = "q"
    for gain, number in ((4.0, 1), (5.0, 2)):
        bundle = bright_spots(registry.artifact_root / f"q-{gain}", gain=gain)
        registry.register(key, bundle, params={"round": number})
    registry.promote(key, 1)

    found = beginning(registry, key, WARM, number=3)

    assert (found.origin, found.version) == ("champion", 1)


def test_a_refused_challenger_does_not_fail_the_fit_and_the_next_one_is_begun_from(
    home, ledger, tmp_path
):
    """The first challenger is a network without weights to learn on from; the second one has."""
    spots = Spots(home, ledger, {"red": lambda _: True}, trainer=TINY)
    parts = spots.parts
    spots.learnt(tmp_path, number=1)
    began, fitted = {}, {}
    for number in (2, 3):
        parts.ledger.save_round(Round(number, spots.project.id, "started"))
        answers = {"pull": pull_step(parts, number, {})}
        fitted[number] = fit_step(parts, number, answers)
        (row,) = (row for row in parts.ledger.rounds() if row.number == number)
        began[number] = row.figures["began"]

    assert began[2]["origin"] == "backend"
    assert began[2]["words"].startswith("version 1 was refused as a beginning (")
    assert began[2]["words"].endswith("the fit began with centernet's own features")
    assert (began[3]["origin"], began[3]["version"]) == ("challenger", 2)
    card = read_bundle(Path(fitted[3]["bundle"])).card
    assert card.provenance["base"]["version"] == fitted[2]["version"]
