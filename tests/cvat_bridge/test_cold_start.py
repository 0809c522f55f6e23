"""The steps of a round before any model is trusted, joined as the bridge joins them."""

from __future__ import annotations

from cvat_bridge.config import Config, CvatSection
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.queueing import predict_step, select_step
from cvat_bridge.loop.results import Results
from cvat_bridge.settings import RoundSettings
from tests.cvat_bridge.test_embeddings import ByNumber, World
from trainer.embedding import Descriptor
from trainer.registry.registry import Registry

NOTHING_LEARNT = Results()


def parts_of(world: World, home, embedder) -> Parts:
    return Parts(
        config=Config(home=home.root, cvat=CvatSection(project=world.project.id)),
        settings=RoundSettings(budget=2, selection=world.settings.selection),
        gateway=world.gateway,
        ledger=world.ledger,
        home=home,
        registry=Registry(None, home.root),
        embedder=embedder,
    )


def test_the_round_chooses_by_the_embedder_and_keeps_under_which_name(ledger, home):
    world = World(ledger, home)
    parts = parts_of(world, home, ByNumber)

    predicted = predict_step(parts, 1, NOTHING_LEARNT)
    selected = select_step(parts, 1, NOTHING_LEARNT)

    assert (predicted.embeddings, predicted.predicted) == ("by-number", 12)
    assert (selected.phase, selected.strategy) == ("cold start", "typiclust")
    assert {row.frame % 2 for row in ledger.selection(1)} == {0, 1}


def test_the_round_keeps_why_a_stand_in_was_used(ledger, home):
    world = World(ledger, home)
    parts = parts_of(world, home, lambda: Descriptor("the features are not installed"))

    predict_step(parts, 1, NOTHING_LEARNT)
    select_step(parts, 1, NOTHING_LEARNT)

    assert ledger.choice(1)["notes"]["embeddings"] == "the features are not installed"
