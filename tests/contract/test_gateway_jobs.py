"""Jobs: assignment, state, stage, replicas, questions."""

from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import Job
from cvat_bridge.errors import AuthenticationError
from tests.contract.stage import Stage, pictures, unique


@pytest.fixture
def job(stage: Stage, project_id: int) -> Job:
    return stage.gateway.jobs(task_id=stage.add_task(project_id, pictures(2)))[0]


def test_a_job_is_assigned_and_keeps_its_state(stage: Stage, job: Job):
    us = stage.gateway.identity().user

    changed = stage.gateway.update_job(job.id, assignee=us.id)

    assert (changed.assignee, changed.state, changed.stage) == (us, "new", "annotation")
    assert stage.gateway.job(job.id).assignee == us


def test_a_finished_job_says_so(stage: Stage, job: Job):
    changed = stage.gateway.update_job(job.id, state="completed")

    assert (changed.state, changed.stage, changed.assignee) == ("completed", "annotation", None)
    assert changed.updated_date > job.updated_date


def test_another_stage_starts_anew(stage: Stage, job: Job):
    """CVAT resets the state with the stage, unless both are given."""
    stage.gateway.update_job(job.id, state="completed")

    reset = stage.gateway.update_job(job.id, stage="validation")
    both = stage.gateway.update_job(job.id, stage="acceptance", state="completed")

    assert (reset.stage, reset.state) == ("validation", "new")
    assert (both.stage, both.state) == ("acceptance", "completed")


def test_nothing_given_changes_nothing(stage: Stage, job: Job):
    changed = stage.gateway.update_job(job.id)

    assert (changed.id, changed.state, changed.stage) == (job.id, job.state, job.stage)


def test_writing_annotations_moves_the_jobs_date_and_not_its_state(
    stage: Stage, job: Job, project_id: int
):
    label = stage.gateway.labels(project_id=project_id)[0].id
    shape = {"type": "rectangle", "frame": 0, "label_id": label, "points": [1, 1, 9, 9]}

    stage.gateway.create_annotations(job.id, shapes=[shape])

    after = stage.gateway.job(job.id)
    assert after.updated_date > job.updated_date
    assert after.state == "new"


def test_replicas_are_jobs_of_their_own_with_a_parent(stage: Stage, project_id: int):
    task = stage.add_task(project_id, pictures(4), segment_size=2, replicas=2)

    jobs = stage.gateway.jobs(task_id=task)

    parents = [found for found in jobs if found.type == "annotation"]
    replicas = [found for found in jobs if found.type == "consensus_replica"]
    assert [found.start_frame for found in parents] == [0, 2]
    assert sorted((found.parent_job_id, found.start_frame) for found in replicas) == [
        (parents[0].id, 0),
        (parents[0].id, 0),
        (parents[1].id, 2),
        (parents[1].id, 2),
    ]
    assert stage.gateway.task(task).consensus_replicas == 2


def test_a_question_is_asked_once(stage: Stage, job: Job):
    """The same words in the same place are one issue; other words are another."""
    asked = stage.gateway.create_issue(job.id, 1, "One cell or two?", [4.0, 5.0, 20.0, 30.0])
    again = stage.gateway.create_issue(job.id, 1, "One cell or two?", [4.0, 5.0, 20.0, 30.0])
    other = stage.gateway.create_issue(job.id, 1, "Is it blurred?", [4.0, 5.0, 20.0, 30.0])

    assert again == asked != other
    assert stage.issue(asked) == (1, "One cell or two?", [4.0, 5.0, 20.0, 30.0])


def test_a_read_only_token_reads_and_its_refusal_says_how_to_mend_it(stage: Stage, project_id: int):
    """CVAT makes tokens read-only unless told otherwise: the most common mistake."""
    gateway = stage.read_only_gateway()

    assert gateway.project(project_id).id == project_id
    with pytest.raises(AuthenticationError, match="read-only"):
        gateway.set_guide(project_id, unique("rules"))
    assert gateway.identity().read_only is True


def test_a_password_does_what_a_token_does(stage: Stage, job: Job):
    """Reading, and writing with the session's protection against forged requests."""
    gateway = stage.password_gateway()

    assert gateway.identity().read_only is False
    assert gateway.update_job(job.id, state="in progress").state == "in progress"
    assert stage.gateway.job(job.id).state == "in progress"


def test_credentials_that_are_not_good_are_named(stage: Stage):
    with pytest.raises(AuthenticationError) as refused:
        stage.intruder().identity()

    assert refused.value.status == 401
    assert "token" in refused.value.advice
