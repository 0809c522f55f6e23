"""Reading projects, labels, tasks, jobs and users through any gateway."""

from __future__ import annotations

import pytest

from cvat_bridge.errors import AuthenticationError, NotFoundError
from tests.contract.conftest import LABELS
from tests.contract.stage import Stage, pictures

MISSING = 10_000_019
A_SHAPE = {"type": "rectangle", "frame": 0, "label_id": 1, "points": [1, 1, 2, 2]}


def test_a_server_of_a_version_we_know_says_what_it_can_do(stage: Stage):
    """The version is inside 2.48 to 2.80, and capabilities follow from it."""
    found = stage.gateway.capabilities()

    assert (2, 48) <= found.version[:2] <= (2, 80)
    assert found.access_tokens
    assert found.score == (found.version[:2] >= (2, 56))
    assert found.webhook_changes == (found.version[:2] >= (2, 73))


def test_we_are_among_the_users(stage: Stage):
    """identity names an account that the list of users holds, and we may write."""
    found = stage.gateway.identity()

    assert found.read_only is False
    assert found.user in stage.gateway.users()


def test_lists_longer_than_a_page_come_whole_and_in_order(stage: Stage):
    """Ten projects are all found, each once, by rising id, though a page holds eight."""
    made = [stage.add_project([]) for _ in range(10)]

    found = [project.id for project in stage.gateway.projects()]

    assert [number for number in found if number in made] == made
    assert len(set(found)) == len(found)
    assert found == sorted(found)


def test_a_project_tells_its_owner_and_when_it_changed(stage: Stage):
    number = stage.add_project([])

    found = stage.gateway.project(number)

    assert found.id == number
    assert found.owner == stage.gateway.identity().user
    assert found.updated_date


def test_labels_come_with_types_and_attributes_in_their_order(stage: Stage, project_id: int):
    found = stage.gateway.labels(project_id=project_id)

    assert [(label.name, label.type) for label in found] == [
        (label["name"], label["type"]) for label in LABELS
    ]
    (confidence,) = found[0].attributes
    assert (confidence.name, confidence.input_type) == ("confidence", "number")
    assert confidence.values == ("0", "100", "1")
    assert confidence.id > 0


def test_a_task_has_its_project_labels(stage: Stage, project_id: int):
    task = stage.add_task(project_id, pictures(1))

    assert stage.gateway.labels(task_id=task) == stage.gateway.labels(project_id=project_id)


def test_tasks_and_jobs_of_a_project(stage: Stage):
    """Jobs of both tasks come by rising id, with the frames they hold."""
    project = stage.add_project(LABELS)
    first = stage.add_task(project, pictures(5), segment_size=2)
    second = stage.add_task(project, pictures(1))

    tasks = stage.gateway.tasks(project)
    jobs = stage.gateway.jobs(project_id=project)

    assert [(task.id, task.size, task.mode) for task in tasks] == [
        (first, 5, "annotation"),
        (second, 1, "annotation"),
    ]
    assert [(job.task_id, job.start_frame, job.stop_frame, job.frame_count) for job in jobs] == [
        (first, 0, 1, 2),
        (first, 2, 3, 2),
        (first, 4, 4, 1),
        (second, 0, 0, 1),
    ]
    assert {(job.type, job.stage, job.state, job.assignee) for job in jobs} == {
        ("annotation", "annotation", "new", None)
    }
    assert all(job.project_id == project for job in jobs)
    assert stage.gateway.jobs(task_id=second) == jobs[3:]
    assert stage.gateway.job(jobs[0].id) == jobs[0]
    assert stage.gateway.task(first) == tasks[0]


def test_an_empty_project_has_no_tasks_and_no_jobs(stage: Stage):
    project = stage.add_project([])

    assert stage.gateway.tasks(project) == ()
    assert stage.gateway.jobs(project_id=project) == ()
    assert stage.gateway.labels(project_id=project) == ()


@pytest.mark.parametrize(
    ("method", "argument"),
    [
        ("project", MISSING),
        ("task", MISSING),
        ("job", MISSING),
        ("tasks", MISSING),
        ("media", MISSING),
        ("job_media", MISSING),
        ("annotations", MISSING),
        ("webhooks", MISSING),
        ("guide", MISSING),
    ],
)
def test_what_is_not_there_is_named(stage: Stage, method: str, argument: int):
    """A missing object is an error that names it, never an empty answer."""
    with pytest.raises(NotFoundError, match=str(argument)):
        getattr(stage.gateway, method)(argument)


@pytest.mark.parametrize("method", ["labels", "jobs"])
@pytest.mark.parametrize("scope", ["project_id", "task_id"])
def test_lists_of_what_is_not_there_are_no_empty_lists(stage: Stage, method: str, scope: str):
    with pytest.raises(NotFoundError, match=str(MISSING)):
        getattr(stage.gateway, method)(**{scope: MISSING})


def test_the_guide_is_made_once_and_then_changed(stage: Stage):
    project = stage.add_project([])
    assert stage.gateway.guide(project) == ""

    stage.gateway.set_guide(project, "# Rules\n\nTight boxes.")
    assert stage.gateway.guide(project) == "# Rules\n\nTight boxes."

    stage.gateway.set_guide(project, "# Other rules")
    assert stage.gateway.guide(project) == "# Other rules"


def test_functions_of_the_function_host_are_listed(stage: Stage):
    expected = stage.function_names()

    found = stage.gateway.functions()

    assert expected <= {function.id for function in found}
    assert {function.kind for function in found if function.id in expected} == {"detector"}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("update_job", {"job_id": MISSING, "state": "completed"}),
        ("create_issue", {"job_id": MISSING, "frame": 0, "message": "?", "position": [1, 2, 3, 4]}),
        ("delete_annotations", {"job_id": MISSING, "shapes": [{"id": 1, **A_SHAPE}]}),
        ("set_deleted_frames", {"task_id": MISSING, "numbers": [1]}),
        ("set_guide", {"project_id": MISSING, "markdown": "# Rules"}),
        (
            "ensure_webhook",
            {"project_id": MISSING, "target_url": "http://127.0.0.1:9/", "secret": "s"},
        ),
        ("ping_webhook", {"webhook_id": MISSING}),
        ("find_task", {"project_id": MISSING, "marker": "m"}),
    ],
)
def test_writing_to_what_is_not_there_is_named(
    stage: Stage, method: str, arguments: dict[str, object]
):
    with pytest.raises(NotFoundError, match=str(MISSING)):
        getattr(stage.gateway, method)(**arguments)


def test_a_job_cannot_go_to_a_user_who_is_not_there(stage: Stage, project_id: int):
    """An administrator is told that nobody is there; others may not even look (403)."""
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project_id, pictures(1)))
    refused = NotFoundError if stage.is_admin else AuthenticationError

    with pytest.raises(refused, match=str(MISSING) if stage.is_admin else None):
        stage.gateway.update_job(job.id, assignee=MISSING)

    assert stage.gateway.job(job.id).assignee is None


def test_every_change_of_a_project_is_seen_in_its_last_changes(stage: Stage):
    """Nothing done, nothing moved; and each thing that people or we do moves something."""
    project = stage.add_project([{"name": "cell", "type": "rectangle", "attributes": []}])
    gateway = stage.gateway
    known = gateway.last_changes(project)
    assert (known.tasks, known.jobs) == (0, 0)

    def moved() -> bool:
        nonlocal known
        before, known = known, gateway.last_changes(project)
        return known != before

    assert not moved()
    task, other = stage.add_task(project, pictures(4)), stage.add_task(project, pictures(2))
    assert moved()
    assert (known.tasks, known.jobs) == (2, 2)
    job = gateway.jobs(task_id=task)[0].id
    (label,) = gateway.labels(project_id=project)
    shape = {**A_SHAPE, "label_id": label.id}
    for do in (
        lambda: gateway.create_annotations(job, shapes=[shape]),
        lambda: gateway.update_job(job, state="completed"),
        lambda: gateway.update_job(job, assignee=gateway.identity().user.id),
        lambda: gateway.set_deleted_frames(task, [1]),
        lambda: gateway.delete_task(other),
        lambda: stage.add_ground_truth_job(task, [2]),
    ):
        do()
        assert moved()
        assert not moved()


def test_the_last_changes_of_a_missing_project_are_an_error(stage: Stage):
    with pytest.raises(NotFoundError):
        stage.gateway.last_changes(MISSING)
