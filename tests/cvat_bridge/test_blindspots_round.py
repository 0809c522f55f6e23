"""A round records what it judges; blind spots, similar frames and tasks come from that."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from cvat_bridge.blindspots.queries import blind_spots, failures, recorded_models
from cvat_bridge.blindspots.similar import find_similar
from cvat_bridge.blindspots.tasks import create_task, plan_task
from cvat_bridge.blindspots.types import TaskRequest, to_json
from cvat_bridge.errors import ConfigError, NothingToDoError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Round
from cvat_bridge.loop.results import Results
from cvat_bridge.loop.steps import carry_out
from cvat_bridge.project.markers import is_round_task
from tests.fakes.spots import Spots

STEPS = ("pull", "fit", "decide", "predict", "select", "prioritise", "preannotate")
# The model finds every red spot; people drew the green ones where no spot is.
RIGHT = {"red": lambda _: True, "green": lambda _: False}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Give a project after its first round, whose task people have finished without a change."""
    folder = tmp_path_factory.mktemp("blindspots")
    home = Home(folder / "home")
    with Ledger(home.ledger) as ledger:
        spots = Spots(home, ledger, RIGHT, pool=30)
        parts = spots.parts
        ledger.save_round(Round(1, spots.project.id, "started"))
        answers = {"fit": spots.learnt(folder)}
        for name in STEPS:
            if name != "fit":
                answers[name] = carry_out(parts, name, 1, Results.of(answers)).to_json()
        for job in ledger.ranked_jobs(1):
            spots.server.finish(job.job_id)
        carry_out(parts, "pull", 2, Results())
        yield SimpleNamespace(
            spots=spots, parts=parts, model=answers["fit"]["version"], home=home, ledger=ledger
        )


def similar(world, **more):
    given = {"model": world.model, "source": "holdout", "where": "class=green", "count": 8, **more}
    return find_similar(world.home, world.ledger, world.parts.settings, **given)


def wish(world, key, frames, **more):
    return TaskRequest(
        key=key, name="Green ones", frames=frames, who="mona", where="green", model=world.model,
        **more,
    )  # fmt: skip


def test_the_three_sources_are_recorded_apart_when_they_happen(world):
    found = {row.source: row for row in recorded_models(world.ledger)}

    assert set(found) == {"holdout", "control", "corrected"}
    assert (found["holdout"].round, found["holdout"].frames) == (1, 24)
    assert (found["corrected"].round, found["corrected"].frames) == (2, 10)
    drawn = [row for row in world.ledger.provenance(1) if row.arm == "control"]
    assert found["control"].frames == len(drawn) > 0


def test_the_class_that_the_model_misses_is_the_first_slice(world):
    page = blind_spots(world.home, world.ledger, model=world.model, source="holdout")
    first = page.slices[0]

    assert first.key == "class=green"
    assert first.recall.value == 0
    assert first.recall.high < first.rest_recall.low
    assert first.pool_frames
    assert to_json(page)["slices"][0]["recall_verdict"] == "worse"


def test_the_failures_of_a_slice_lead_to_the_frame_and_its_file(world):
    found = failures(
        world.home, world.ledger, model=world.model, source="holdout", where="class=green", count=3
    )
    row = found.rows[0]
    known = world.ledger.frames()[f"{row.task_id}/{row.frame}"]

    assert found.total >= 24
    assert (row.image, row.suffix, row.job_id > 0) == (known.sha256, known.suffix, True)
    assert {one.truth or one.answer for one in found.rows} == {"green"}


def test_a_cell_of_the_confusion_matrix_holds_as_many_as_it_counts(world):
    page = blind_spots(world.home, world.ledger, model=world.model, source="holdout")
    names = page.confusion.names
    for i, truth in enumerate(names):
        for j, answer in enumerate(names):
            cell = failures(
                world.home,
                world.ledger,
                model=world.model,
                source="holdout",
                truth=truth,
                answer=answer,
            )
            assert cell.total == page.confusion.counts[i][j], (truth, answer)


def test_what_was_never_recorded_says_what_to_do(world):
    with pytest.raises(NothingToDoError, match="cvat-bridge round"):
        blind_spots(world.home, world.ledger, model="another", source="holdout")


def test_similar_frames_are_free_and_some_are_drawn_at_random(world):
    found = similar(world)
    taken = {(row.source_task, row.source_frame) for row in world.ledger.provenance()}

    assert [row.rank for row in found.frames] == list(range(1, 9))
    assert sum(row.arm == "control" for row in found.frames) == 1
    assert not taken & {(row.task_id, row.frame) for row in found.frames}
    assert found.expected_minutes > 0


def test_pressing_twice_makes_one_task_with_the_rounds_marker_and_boxes(world):
    keys = tuple(row.key for row in similar(world).frames)[:4]
    asked = wish(world, "press-1", keys, job_size=2, controls=frozenset(keys[:1]))
    plan = plan_task(world.parts, asked)

    first, again = create_task(world.parts, asked), create_task(world.parts, asked)
    task = world.spots.server.tasks[first.task_id].task

    assert (plan.frames, plan.jobs) == (4, 2)
    assert (first.frames, len(first.jobs)) == (4, 2)
    assert again == replace(first, again=True)
    assert task.name.startswith("Green ones") and is_round_task(task.name)
    assert first.proposed.get("red", 0) == 4
    (row,) = world.ledger.requests()
    assert (row.who, row.task_id) == ("mona", first.task_id)
    arms = [one.arm for one in world.ledger.provenance(row.round)]
    assert sorted(arms) == ["control", "strategy", "strategy", "strategy"]
    assert not set(keys) & {one.key for one in similar(world).frames}
    with pytest.raises(NothingToDoError, match="people have all 4"):
        create_task(world.parts, wish(world, "press-2", keys))


def test_a_wish_that_cannot_be_met_is_refused_before_anything_is_written(world):
    before = len(world.spots.server.tasks), len(world.ledger.requests())
    keys = tuple(row.key for row in similar(world).frames)

    with pytest.raises(ConfigError, match="nobody"):
        create_task(world.parts, wish(world, "press-3", keys, assignees=("nobody",)))
    with pytest.raises(ConfigError, match="at least one frame"):
        create_task(world.parts, wish(world, "press-4", ()))

    assert (len(world.spots.server.tasks), len(world.ledger.requests())) == before
