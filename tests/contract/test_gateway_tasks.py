"""Making tasks whose jobs are ranked, once however often it is asked for."""

from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import Frame, LocalFile, Media, NewTask
from cvat_bridge.errors import GatewayError
from cvat_bridge.ledger.records import SelectedFrame
from cvat_bridge.loop.ranking import file_name
from tests.contract.conftest import LABELS
from tests.contract.stage import Stage, pictures, unique

RANKED = (("c.png", "a.png"), ("e.png",), ("b.png", "d.png"))


def a_spec(project_id: int, **changes: object) -> NewTask:
    """Return a spec of five images in three ranked jobs."""
    content = pictures(5)
    files = tuple(
        LocalFile(f"{letter}.png", picture)
        for letter, picture in zip("abcde", content.values(), strict=True)
    )
    marker = unique("marker")
    fields = {
        "name": f"round 3 ({marker})",
        "marker": marker,
        "project_id": project_id,
        "jobs": RANKED,
        "files": files,
        **changes,
    }
    return NewTask(**fields)  # type: ignore[arg-type]


def test_jobs_and_frames_follow_the_ranking(stage: Stage, project_id: int):
    """Lower job ids hold the files named first, and frames stand in the order of the names."""
    spec = a_spec(project_id, subset="pool")

    task = stage.gateway.create_task(spec)

    jobs = stage.gateway.jobs(task_id=task.id)
    frames = stage.gateway.media(task.id).frames
    names = [
        tuple(frame.name for frame in frames[job.start_frame : job.stop_frame + 1]) for job in jobs
    ]
    assert tuple(names) == RANKED
    assert (task.name, task.project_id, task.size, task.subset) == (
        spec.name,
        project_id,
        5,
        "pool",
    )


def test_the_bytes_of_each_file_arrive_unchanged(stage: Stage, project_id: int):
    spec = a_spec(project_id)

    task = stage.gateway.create_task(spec)

    order = [name for job in RANKED for name in job]
    content = {file.name: file.content for file in spec.files}
    got = dict(stage.gateway.frames(task.id, range(5)))
    assert got == {number: content[name] for number, name in enumerate(order)}


OWN = ("dive 3/Öl.png", "泡🫧.png", 'a "b" & c;d.png', "R&amp;D 100%25 + =.png", "q\\u00a0w.png")


def test_a_copy_bears_the_name_that_was_given_whatever_its_letters(stage: Stage, project_id: int):
    """What ranking names a copy, CVAT calls it: else no frame is found again by its name."""
    frames = tuple(Frame(n, name, 64, 48) for n, name in enumerate(OWN))
    media = Media(1, frames, frozenset(), "local", None, False, 36)
    rows = [SelectedFrame(n + 1, 1, n, 0.5, "strategy", "why") for n in range(len(OWN))]
    names = tuple(file_name(row, media) for row in rows)
    content = pictures(len(names)).values()
    files = tuple(LocalFile(name, data) for name, data in zip(names, content, strict=True))

    task = stage.gateway.create_task(a_spec(project_id, jobs=(names,), files=files))

    assert tuple(frame.name for frame in stage.gateway.media(task.id).frames) == names


def test_asking_again_finds_the_task(stage: Stage):
    """A second call with the same marker gives the same task and makes no other."""
    project = stage.add_project(LABELS)
    spec = a_spec(project)

    first = stage.gateway.create_task(spec)
    second = stage.gateway.create_task(spec)

    assert second.id == first.id
    assert [task.id for task in stage.gateway.tasks(project)] == [first.id]
    assert stage.gateway.find_task(project, spec.marker) == second


def test_a_task_that_never_got_its_data_is_made_anew(stage: Stage):
    project = stage.add_project(LABELS)
    spec = a_spec(project)
    dead = stage.add_empty_task(project, spec.name)
    assert stage.gateway.find_task(project, spec.marker) == stage.gateway.task(dead)

    made = stage.gateway.create_task(spec)

    assert made.size == 5
    assert [task.id for task in stage.gateway.tasks(project)] == [made.id]


def test_files_that_are_no_images_are_refused_and_leave_no_task(stage: Stage):
    project = stage.add_project(LABELS)
    marker = unique("marker")
    spec = NewTask(marker, marker, project, (("a.png",),), (LocalFile("a.png", b"no image"),))

    with pytest.raises(GatewayError, match=marker):
        stage.gateway.create_task(spec)

    assert stage.gateway.tasks(project) == ()


def test_no_task_bears_an_unknown_marker(stage: Stage, project_id: int):
    assert stage.gateway.find_task(project_id, unique("never used")) is None


def test_files_of_the_share_are_used_where_they_lie(stage: Stage):
    """The task's media stay on the share, so that a later round can use them again."""
    folder = unique("folder").replace(" ", "-")
    files = {f"{folder}/{name}": content for name, content in pictures(3).items()}
    stage.share(files)
    project = stage.add_project(LABELS)
    first, second, third = files
    marker = unique("marker")

    task = stage.gateway.create_task(
        NewTask(marker, marker, project, ((third,), (first, second)), server_files=tuple(files))
    )

    media = stage.gateway.media(task.id)
    assert media.storage == "share"
    assert [frame.name for frame in media.frames] == [third, first, second]
    got = dict(stage.gateway.frames(task.id, [0, 2]))
    assert got == {0: files[third], 2: files[second]}


def test_a_deleted_task_is_gone_and_deleting_it_again_is_no_error(stage: Stage, project_id: int):
    task = stage.add_task(project_id, pictures(1))

    stage.gateway.delete_task(task)
    stage.gateway.delete_task(task)

    assert task not in {found.id for found in stage.gateway.tasks(project_id)}


def test_a_spec_that_cannot_be_made_names_every_fault():
    """Faults are found before anything is sent."""
    with pytest.raises(ValueError, match=r"(?s)marker.*exactly one.*not given"):
        NewTask("name", "marker", 1, (("lost.png",),))
