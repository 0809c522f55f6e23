"""The steps of a round before any model is trusted, joined as the bridge joins them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cvat_bridge.config import Config, CvatSection
from cvat_bridge.loop.parts import Parts
from cvat_bridge.loop.queueing import predict_step, prioritise_step, select_step
from cvat_bridge.loop.results import FitResult, Results, SelectResult
from cvat_bridge.loop.steps import steps_of
from cvat_bridge.loop.workflow import Durable, Rounds, StepFailedError
from cvat_bridge.settings import RoundSettings
from tests.cvat_bridge.test_embeddings import ByNumber, World
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from trainer.embedding import Descriptor
from trainer.registry.registry import Registry

NOTHING_LEARNT = Results(fit=FitResult(reason="3 frames to train on, 8 are needed"))


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


@pytest.mark.parametrize(
    ("labels", "backend", "says"),
    [
        ([("pose", "skeleton"), ("tip", "points")], "centernet", r"pose \(skeleton\)"),
        ([], "centernet", "Add a label of one of these types"),
        ([("car", "rectangle")], "semantic", "backend semantic learns from outlines and masks"),
    ],
)
def test_labels_that_cannot_be_learnt_end_the_round_before_an_image_is_brought_or_copied(
    server, ledger, home, labels, backend, says
):
    project = server.add_project("poses", labels)
    task = server.add_task(project.id, {f"{n}.png": picture(n) for n in range(4)}, segment_size=2)
    server.finish(server.jobs_of(task.id)[0].id)
    values = {"home": home.root, "cvat": {"project": project.id}, "trainer": {"backend": backend}}
    parts = Parts(
        config=Config.model_validate(values),
        settings=RoundSettings(budget=2),
        gateway=FakeGateway(server),
        ledger=ledger,
        home=home,
        registry=Registry(None, home.root),
    )
    durable = Durable(f"sqlite:///{home.root / 'rounds.db'}")
    rounds = Rounds(steps_of(parts), ledger, project_id=project.id, durable=durable)
    with durable:
        durable.launch()
        with pytest.raises(StepFailedError, match=says):
            rounds.run(1)

    assert list(server.tasks) == [task.id]
    assert not home.images.exists()
    assert ledger.rounds()[0].waits_for.startswith("facts: the project's labels are")


def test_with_too_few_labels_and_ranked_frames_open_no_second_task_is_made(ledger, home):
    """Of a first task of two frames one is finished: fewer wait than a round takes."""
    world = World(ledger, home)
    parts = parts_of(world, home, ByNumber)
    parts = replace(parts, settings=replace(parts.settings, job_size=1))
    server = world.gateway.server
    select_step(parts, 1, NOTHING_LEARNT)
    made = prioritise_step(parts, 1, replace(NOTHING_LEARNT, select=SelectResult(2)))
    done, still_open = server.jobs_of(made.task_id)
    server.finish(done.id)
    before = set(server.tasks)
    second = select_step(parts, 2, NOTHING_LEARNT)

    assert second.selected == 0
    assert "3 frames to train on, 8 are needed; 1 ranked frame still waits" in second.reason
    assert prioritise_step(parts, 2, replace(NOTHING_LEARNT, select=second)).task_id is None
    assert set(server.tasks) == before

    server.finish(still_open.id)

    assert select_step(parts, 3, NOTHING_LEARNT).selected == 2
