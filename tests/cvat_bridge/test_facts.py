from __future__ import annotations

import pytest

from cvat_bridge.errors import NotFoundError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Provenance, UsedJob
from cvat_bridge.project.facts import gather
from cvat_bridge.project.markers import round_marker
from cvat_bridge.project.reading import FULL_READ_SECONDS, ProjectReader, read_project
from cvat_bridge.settings import RoundSettings
from tests.fakes.gateway import FakeGateway
from tests.fakes.images import picture
from tests.fakes.server import FakeServer

FILES = {f"{n}.png": picture(n) for n in range(6)}
SETTINGS = RoundSettings()


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as opened:
        yield opened


@pytest.fixture
def project(server):
    return server.add_project("cells", ["cell"])


def look(server, ledger, project, settings=SETTINGS):
    return gather(FakeGateway(server), ledger, project.id, settings)


def keys(task, *frames):
    return [f"{task.id}/{frame}" for frame in frames]


def box(server, project, frame, **more):
    label = server.label(project.id, "cell").id
    return {"frame": frame, "label_id": label, "points": [1.0, 1.0, 9.0, 9.0], **more}


def pool_of(facts):
    return [frame.key for frame in facts.pool]


def test_an_untouched_project_is_all_pool(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=2)

    facts = look(server, ledger, project)

    assert pool_of(facts) == keys(task, *range(6))
    assert (facts.jobs, facts.in_work, facts.new_frames) == ((), frozenset(), 0)


def test_a_finished_job_is_labelled_also_without_an_object(server, ledger, project):
    """A job finished with no object is a valid negative."""
    task = server.add_task(project.id, FILES, segment_size=2)
    first, *_ = server.jobs_of(task.id)
    server.finish(first.id)

    facts = look(server, ledger, project)

    assert [(job.job_id, job.frames) for job in facts.jobs] == [(first.id, (0, 1))]
    assert facts.changes.fresh == (first.id,)
    assert facts.new_frames == 2
    assert pool_of(facts) == keys(task, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "open_it",
    [
        lambda s, p, job: FakeGateway(s).update_job(job.id, state="in progress"),
        lambda s, p, job: FakeGateway(s).update_job(job.id, assignee=s.robot.id),
        lambda s, p, job: FakeGateway(s).update_job(job.id, stage="validation"),
        lambda s, p, job: FakeGateway(s).update_job(job.id, state="rejected"),
        lambda s, p, job: s.annotate(job.id, shapes=[box(s, p, 0)]),
        lambda s, p, job: s.annotate(job.id, shapes=[box(s, p, 0, source="semi-auto")]),
    ],
    ids=["in progress", "assigned", "in validation", "rejected", "drawn in", "corrected in"],
)
def test_a_job_that_people_have_is_neither_pool_nor_labelled(server, ledger, project, open_it):
    task = server.add_task(project.id, FILES, segment_size=3)
    open_it(server, project, server.jobs_of(task.id)[0])

    facts = look(server, ledger, project)

    assert pool_of(facts) == keys(task, 3, 4, 5)
    assert facts.in_work == frozenset(keys(task, 0, 1, 2))
    assert facts.jobs == ()


def test_untouched_pre_annotations_leave_a_job_in_the_pool(server, ledger, project):
    task = server.add_task(project.id, FILES)
    server.annotate(server.jobs_of(task.id)[0].id, shapes=[box(server, project, 0, source="auto")])

    assert pool_of(look(server, ledger, project)) == keys(task, *range(6))


def test_unopened_jobs_are_read_again_only_when_they_changed(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=2)
    gateway = FakeGateway(server)
    gather(gateway, ledger, project.id, SETTINGS)
    before = gateway.calls["annotations"]
    server.annotate(server.jobs_of(task.id)[1].id, shapes=[box(server, project, 2)])

    facts = gather(gateway, ledger, project.id, SETTINGS)

    assert (before, gateway.calls["annotations"]) == (3, 4)
    assert pool_of(facts) == keys(task, 0, 1, 4, 5)


def test_a_job_counts_from_the_stage_that_is_set(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=3)
    first, second = server.jobs_of(task.id)
    server.finish(first.id)
    server.finish(second.id, stage="acceptance")

    facts = look(server, ledger, project, RoundSettings(finished_stage="acceptance"))

    assert [job.job_id for job in facts.jobs] == [second.id]
    assert facts.in_work == frozenset(keys(task, 0, 1, 2))
    assert any(f"jobs {first.id}" in note for note in facts.notes)


def test_a_used_job_that_moves_to_the_next_stage_keeps_its_labels(server, ledger, project):
    """CVAT resets the state with the stage; the labels were finished all the same."""
    task = server.add_task(project.id, FILES)
    (job,) = server.jobs_of(task.id)
    server.finish(job.id)
    ledger.use_jobs([UsedJob(job.id, server.jobs[job.id].updated_date, "completed", "f")])
    FakeGateway(server).update_job(job.id, stage="validation")

    facts = look(server, ledger, project)

    assert [found.job_id for found in facts.jobs] == [job.id]


def test_what_changed_since_the_last_pull(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=1)
    same, edited, reopened, fresh, *_ = server.jobs_of(task.id)
    for job in (same, edited, reopened):
        server.finish(job.id)
        ledger.use_jobs([UsedJob(job.id, server.jobs[job.id].updated_date, "completed", "f")])
    server.annotate(edited.id, shapes=[box(server, project, 1)])
    FakeGateway(server).update_job(reopened.id, state="in progress")
    server.finish(fresh.id)

    facts = look(server, ledger, project)

    assert facts.changes.fresh == (fresh.id,)
    assert facts.changes.edited == (edited.id,)
    assert facts.changes.gone == (reopened.id,)
    assert facts.new_frames == 1


def test_deleted_frames_are_in_no_list(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=3)
    server.finish(server.jobs_of(task.id)[0].id)
    FakeGateway(server).set_deleted_frames(task.id, [1, 4])

    facts = look(server, ledger, project)

    assert facts.jobs[0].frames == (0, 2)
    assert pool_of(facts) == keys(task, 3, 5)


def test_frames_of_a_ground_truth_job_are_holdout_and_never_pool(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=3)
    truth = server.add_ground_truth_job(task.id, [1, 4])
    server.finish(server.jobs_of(task.id)[0].id)
    unfinished = look(server, ledger, project)
    server.finish(truth.id)

    facts = look(server, ledger, project)

    assert pool_of(unfinished) == pool_of(facts) == keys(task, 3, 5)
    assert facts.reserved == frozenset(keys(task, 1, 4))
    assert facts.holdout_rule == "ground_truth"
    assert [(j.job_id, j.frames, j.held_out) for j in unfinished.jobs] == [
        (server.jobs_of(task.id)[0].id, (0, 2), False)
    ]
    assert [(j.frames, j.held_out) for j in facts.jobs] == [((0, 2), False), ((1, 4), True)]


def test_a_task_of_a_holdout_subset_is_holdout(server, ledger, project):
    task = server.add_task(project.id, FILES, segment_size=3, subset="holdout")
    server.finish(server.jobs_of(task.id)[0].id)

    facts = look(server, ledger, project)

    assert (facts.pool, facts.holdout_rule) == ((), "subset")
    assert [(job.frames, job.held_out) for job in facts.jobs] == [((0, 1, 2), True)]


def test_consensus_replicas_never_train_and_hold_their_frames(server, ledger, project):
    task = server.add_task(project.id, FILES, replicas=2)
    parent, replica, _ = server.jobs_of(task.id)
    server.finish(replica.id)
    before_merge = look(server, ledger, project)
    server.finish(parent.id)
    merged = look(server, ledger, project)

    assert (before_merge.jobs, before_merge.pool) == ((), ())
    assert [job.job_id for job in merged.jobs] == [parent.id]


def test_copies_are_never_pool_and_their_sources_leave_it(server, ledger, project):
    task = server.add_task(project.id, FILES)
    copies = server.add_task(project.id, {"c.png": FILES["4.png"]})
    ledger.add_provenance([Provenance(copies.id, 0, task.id, 4, 1, 1, 0.5, "strategy", "why")])

    assert pool_of(look(server, ledger, project)) == keys(task, 0, 1, 2, 3, 5)


def test_sources_return_when_people_delete_the_rounds_task(server, ledger, project):
    task = server.add_task(project.id, FILES)
    ledger.add_provenance([Provenance(999, 0, task.id, 4, 1, 1, 0.5, "strategy", "why")])

    assert pool_of(look(server, ledger, project)) == keys(task, *range(6))


def test_a_rounds_task_is_known_by_its_name_before_it_is_recorded(server, ledger, project):
    server.add_task(project.id, FILES, name=f"Round 1 {round_marker('0a1b2c3d', 1)}")

    assert look(server, ledger, project).pool == ()


def test_tasks_without_data_or_in_3d_are_left_out_and_named(server, ledger, project):
    empty = server.add_empty_task(project.id, "upload under way")

    facts = look(server, ledger, project)

    assert facts.pool == ()
    assert any(f"task {empty.id}" in note for note in facts.notes)


def test_a_task_that_vanishes_while_we_look_is_left_out(server, ledger, project):
    server.add_task(project.id, FILES)
    kept = server.add_task(project.id, FILES)
    gateway = FakeGateway(server)
    gateway.fail("media", NotFoundError("read", "task", 404, "Not found."))

    assert pool_of(gather(gateway, ledger, project.id, SETTINGS)) == keys(kept, *range(6))


def requests_of(gateway):
    """Return how often each method was called since the last time."""
    made = {name: count for name, count in gateway.calls.items() if count}
    gateway.calls.clear()
    return made


@pytest.fixture
def reader(server, ledger, project, tmp_path):
    for _ in range(3):
        server.add_task(project.id, FILES)
    gateway = FakeGateway(server)
    return ProjectReader(gateway, ledger, project.id, folder=tmp_path / "media"), gateway


def test_a_look_at_a_project_where_nothing_happened_is_one_question(reader):
    reader, gateway = reader
    first = reader.read()
    requests_of(gateway)

    assert reader.read() == first
    assert requests_of(gateway) == {"last_changes": 1}


def test_only_the_media_of_a_task_that_changed_is_read_again(server, ledger, reader):
    reader, gateway = reader
    first = reader.read()
    requests_of(gateway)
    task = first.tasks[1]
    gateway.set_deleted_frames(task.id, [2])
    requests_of(gateway)

    second = reader.read()

    assert requests_of(gateway)["media"] == 1
    assert second.media[task.id].deleted == {2}
    assert second == read_project(FakeGateway(server), ledger, first.project.id)


def test_media_outlives_the_process_and_follows_what_was_deleted(server, ledger, reader, tmp_path):
    reader, gateway = reader
    first = reader.read()
    gone = first.tasks[0]
    gateway.delete_task(gone.id)
    damaged = tmp_path / "media" / f"{first.tasks[1].id}.json"
    damaged.write_text('{"form": 1, "media": ')
    requests_of(gateway)

    again = ProjectReader(gateway, ledger, first.project.id, folder=tmp_path / "media").read()

    assert requests_of(gateway)["media"] == 1
    assert set(again.media) == {task.id for task in first.tasks[1:]}
    assert {path.stem for path in (tmp_path / "media").glob("*")} == {str(n) for n in again.media}


def test_everything_is_read_anew_after_a_while(server, ledger, project):
    server.add_task(project.id, FILES)
    gateway, now = FakeGateway(server), [0.0]
    reader = ProjectReader(gateway, ledger, project.id, clock=lambda: now[0])
    reader.read()
    now[0] = FULL_READ_SECONDS + 1
    requests_of(gateway)

    reader.read()

    assert requests_of(gateway)["jobs"] == 1
