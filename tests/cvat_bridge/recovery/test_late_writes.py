"""What CVAT carries out after it was given up: our doubles go, what people have stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.cvat.gateway import LocalFile, NewTask
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Proposal, RankedJob, Round
from cvat_bridge.project.markers import round_marker
from cvat_bridge.recovery.late_writes import LateWrites
from cvat_bridge.sandbox import Sandbox, running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures, unique
from tests.fakes.late import LateProxy
from tests.fakes.scripted import Answer, Asked, forwarded, scripted


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("sandbox")) as started:
        yield started


@pytest.fixture(scope="module")
def stage(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpStage]:
    folder = tmp_path_factory.mktemp("cache")
    stage = HttpStage(sandbox.url, folder, token=sandbox.admin_token, login=None)
    yield stage
    stage.close()


@pytest.fixture
def proxy(sandbox: Sandbox) -> LateProxy:
    return LateProxy(sandbox.url)


@pytest.fixture
def gateway(proxy: LateProxy, sandbox: Sandbox, tmp_path: Path) -> Iterator[CvatClient]:
    with (
        scripted(proxy) as server,
        connect(server.url, token=sandbox.admin_token, cache_dir=tmp_path, patience=60) as client,
    ):
        yield client


def boxes(label, count=5):
    return [
        {
            "type": "rectangle",
            "frame": 0,
            "label_id": label,
            "points": [float(n), 1.0, n + 2.5, 4.0],
            "source": "auto",
            "score": 0.5,
        }
        for n in range(count)
    ]


def spec(project, marker):
    files = tuple(LocalFile(name, content) for name, content in pictures(2).items())
    return NewTask(f"Round {marker}", marker, project, (tuple(f.name for f in files),), files)


def makes_task(asked: Asked) -> bool:
    return (asked.method, asked.path) == ("POST", "/api/tasks")


def test_objects_written_late_are_deleted_before_the_write_is_over(gateway, proxy, stage):
    project = stage.add_project(LABELS)
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project, pictures(1)))
    label = stage.gateway.labels(project_id=project)[0].id
    proxy.meant = lambda asked: asked.method == "PATCH" and "annotations" in asked.path

    written = gateway.create_annotations(job.id, shapes=boxes(label))

    held = stage.gateway.annotations(job.id).shapes
    assert proxy.done == 1
    assert len(held) == 5
    assert {one["id"] for one in held} == {one["id"] for one in written.shapes}


def test_a_task_made_late_is_deleted_before_the_step_is_over(gateway, proxy, stage):
    project = stage.add_project(LABELS)
    proxy.meant = makes_task

    made = gateway.create_task(spec(project, unique("marker")))

    assert proxy.done == 1
    assert [task.id for task in stage.gateway.tasks(project)] == [made.id]


def test_an_issue_opened_late_is_deleted_and_another_of_the_same_place_stays(gateway, proxy, stage):
    (job,) = stage.gateway.jobs(task_id=stage.add_task(stage.add_project(LABELS), pictures(1)))
    other = stage.gateway.create_issue(job.id, 0, "Another question", (1.0, 2.0))
    proxy.meant = lambda asked: (asked.method, asked.path) == ("POST", "/api/issues")

    kept = gateway.create_issue(job.id, 0, "Is this a cell?", (1.0, 2.0))

    held = stage.call("GET", f"/api/issues?job_id={job.id}")["results"]
    assert proxy.done == 1
    assert {row["id"] for row in held} == {kept, other}


def test_a_webhook_made_late_is_deleted_and_one_of_another_address_stays(gateway, proxy, stage):
    project = stage.add_project(LABELS)
    other = stage.gateway.ensure_webhook(project, "http://127.0.0.1:9/other", "s")
    proxy.meant = lambda asked: (asked.method, asked.path) == ("POST", "/api/webhooks")

    kept = gateway.ensure_webhook(project, "http://127.0.0.1:9/hook", "s")

    assert proxy.done == 1
    assert {hook.id for hook in stage.gateway.webhooks(project)} == {kept.id, other.id}


def test_what_comes_even_later_is_found_by_the_next_look(gateway, proxy, stage, ledger):
    project = stage.add_project(LABELS)
    label = stage.gateway.labels(project_id=project)[0].id
    proxy.meant, proxy.at_once = makes_task, False
    made = gateway.create_task(spec(project, round_marker(ledger.identity, 1)))
    proxy.carry_out()
    (job,) = stage.gateway.jobs(task_id=made.id)
    proxy.meant = lambda asked: asked.method == "PATCH" and "annotations" in asked.path
    proxy.kept, proxy.done = None, 0
    written = gateway.create_annotations(job.id, shapes=boxes(label))
    proxy.carry_out()
    record(ledger, project, made.id, job.id, written.shapes)
    late = LateWrites(stage.gateway, ledger)

    told = late.mend(tasks_of(stage, project))

    assert proxy.done == 1
    assert [task.id for task in stage.gateway.tasks(project)] == [made.id]
    held = stage.gateway.annotations(job.id).shapes
    assert {one["id"] for one in held} == {one["id"] for one in written.shapes}
    assert len(told) == 2
    assert late.mend(tasks_of(stage, project)) == ()


@pytest.mark.parametrize("body", [b"", b'{"id": 1, "na', b"<html>One moment, please</html>"])
@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_an_answer_that_is_not_whole_is_asked_for_again(sandbox, stage, tmp_path, body, method):
    """200 with half a body, with none, or with a page of something in between."""
    project = stage.add_project(LABELS)
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project, pictures(1)))
    label = stage.gateway.labels(project_id=project)[0].id
    left = {method: 1}

    def spoiled(asked: Asked) -> Answer:
        answer = forwarded(sandbox.url, asked)
        if left.pop(asked.method, None):
            return Answer(200, body, {"Content-Type": "application/json"})
        return answer

    with (
        scripted(spoiled) as server,
        connect(server.url, token=sandbox.admin_token, cache_dir=tmp_path, patience=60) as gateway,
    ):
        made = gateway.create_task(spec(project, unique("marker")))
        gateway.create_annotations(job.id, shapes=boxes(label))

    assert left == {}
    assert [task.size for task in stage.gateway.tasks(project) if task.id == made.id] == [2]
    assert len(stage.gateway.tasks(project)) == 2
    assert len(stage.gateway.annotations(job.id).shapes) == 5


@pytest.mark.parametrize("work", ["opened", "drew"])
def test_doubles_in_a_job_that_people_work_on_are_told_and_left(stage, ledger, work):
    project = stage.add_project(LABELS)
    task = stage.add_task(project, pictures(1))
    (job,) = stage.gateway.jobs(task_id=task)
    label = stage.gateway.labels(project_id=project)[0].id
    written = stage.gateway.create_annotations(job.id, shapes=boxes(label)).shapes
    written_again(stage, job.id, boxes(label))
    record(ledger, project, task, job.id, written)
    if work == "opened":
        stage.gateway.update_job(job.id, state="in progress")
    else:
        written_again(stage, job.id, [{**boxes(label)[0], "source": "manual"}])
    before = stage.gateway.annotations(job.id)

    (told,) = LateWrites(stage.gateway, ledger).mend(tasks_of(stage, project))

    assert stage.gateway.annotations(job.id) == before
    assert "5 pre-annotations twice" in told
    assert "left to them" in told


def test_what_people_drew_or_moved_is_no_double(stage, ledger):
    """The same place and label, but of people; and a pre-annotation that they moved."""
    project = stage.add_project(LABELS)
    task = stage.add_task(project, pictures(1))
    (job,) = stage.gateway.jobs(task_id=task)
    label = stage.gateway.labels(project_id=project)[0].id
    written = stage.gateway.create_annotations(job.id, shapes=boxes(label)).shapes
    record(ledger, project, task, job.id, written)
    kinds = ({"source": "manual"}, {"source": "semi-auto"}, {"score": 1.0})
    written_again(stage, job.id, [{**boxes(label)[0], **kind} for kind in kinds])

    assert LateWrites(stage.gateway, ledger).mend(tasks_of(stage, project)) == ()
    assert len(stage.gateway.annotations(job.id).shapes) == 8


def tasks_of(stage, project):
    return {task.id: task for task in stage.gateway.tasks(project)}


def written_again(stage, job_id, shapes):
    """Write without looking what is there, as CVAT does late."""
    body = {"version": 0, "tags": [], "shapes": shapes, "tracks": []}
    stage.call("PATCH", f"/api/jobs/{job_id}/annotations?action=create", json=body)


def record(ledger: Ledger, project, task_id, job_id, shapes):
    """Let the ledger know of a round that pre-annotated one job."""
    ledger.save_round(Round(1, project, "done"))
    ledger.set_ranked_jobs(1, [RankedJob(1, job_id, task_id, (0,), (0.5,), "")])
    rows = [
        Proposal(
            1,
            job_id,
            int(shape["frame"]),
            place,
            int(shape["label_id"]),
            "label",
            str(shape["type"]),
            tuple(shape["points"]),
            0.5,
            "m1",
            int(shape["id"]),
        )
        for place, shape in enumerate(shapes)
    ]
    ledger.set_proposals(1, job_id, rows)
