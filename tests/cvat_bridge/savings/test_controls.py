"""Control jobs are drawn once, stay what they are, and hold nothing of the model's."""

from __future__ import annotations

import pytest

from cvat_bridge.cvat.gateway import JobAnnotations
from cvat_bridge.errors import UnreachableError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import PreAnnotatedJob, RankedJob, Round
from cvat_bridge.savings.controls import CONTROL, control_jobs, is_control
from cvat_bridge.savings.measuring import LONGEST_SPELL, measure, objects_in, spells_of
from tests.cvat_bridge.test_round_steps import Loop, world
from tests.fakes.faulty import DyingGateway, KilledError
from tests.fakes.gateway import FakeGateway


@pytest.fixture
def ledger(tmp_path):
    with Ledger(tmp_path / "ledger.db") as found:
        yield found


@pytest.fixture
def loop(ledger, tmp_path):
    server, project, task = world()
    made = Loop(FakeGateway(server), ledger, project, Home(tmp_path))
    made.server, made.task = server, task
    return made


def ranked(first, count):
    return [RankedJob(n + 1, first + n, 1, (n,), (1.0,), "") for n in range(count)]


def test_of_each_ten_jobs_one_is_a_control_at_a_place_that_differs():
    drawn = [n for n in range(400) if is_control("abc", n, 10)]

    # The first ten hold none: people see what pre-annotation is before some come without.
    assert [n // 10 for n in drawn] == list(range(1, 40))
    assert len({n % 10 for n in drawn}) == 10
    assert drawn != [n for n in range(400) if is_control("other", n, 10)]
    assert not any(is_control("abc", n, 0) for n in range(100))


def test_places_go_on_from_round_to_round(ledger):
    jobs = {number: ranked(100 * number, 5) for number in range(1, 9)}
    for number, rows in jobs.items():
        ledger.save_round(Round(number, 1, "done"))
        ledger.set_ranked_jobs(number, rows)

    found = [control_jobs(ledger, jobs[n], number=n, one_in=10) for n in jobs]

    assert [len(found[n] | found[n + 1]) for n in range(0, 8, 2)] == [0, 1, 1, 1]
    assert control_jobs(ledger, jobs[3], number=-1, one_in=10) == frozenset()


def test_a_job_stays_what_it_was_in_an_earlier_round(ledger):
    rows = ranked(10, 10)
    ledger.save_preannotated(PreAnnotatedJob(10, 1, "m", CONTROL))
    for row in rows[1:]:
        ledger.save_preannotated(PreAnnotatedJob(row.job_id, 1, "m"))

    assert control_jobs(ledger, rows, number=2, one_in=10) == {10}


def test_a_control_job_stays_empty_and_is_told_apart(loop):
    loop.choose()
    first, second = loop.prioritise().jobs

    for _ in range(2):
        done = loop.preannotate(controls=frozenset({first.job_id}))
        assert (done.controls, done.skipped) == ((first.job_id,), {})

    assert loop.server.annotations[first.job_id].shapes == ()
    assert len(loop.server.annotations[second.job_id].shapes) == 2
    assert loop.ledger.preannotated()[first.job_id].problem == CONTROL
    assert loop.ledger.proposals(job_id=first.job_id) == ()
    note = loop.notes([first])[first.job_id]
    assert note.look_at == "Nothing is drawn yet: draw every object."


def test_a_kill_between_two_jobs_changes_no_draw(loop):
    loop.choose()
    first, second = loop.prioritise().jobs
    controls = frozenset({first.job_id})
    dying = DyingGateway(loop.gateway, at=4)
    alive, loop.gateway = loop.gateway, dying
    with pytest.raises(KilledError):
        loop.preannotate(controls=controls)
    loop.gateway = alive

    done = loop.preannotate(controls=controls)

    assert done.controls == (first.job_id,)
    assert len(loop.server.annotations[second.job_id].shapes) == 2


def test_what_jobs_took_is_recorded_once_and_kept_when_cvat_forgets(loop):
    loop.choose()
    first, second = loop.prioritise().jobs
    loop.preannotate(controls=frozenset({first.job_id}))
    loop.assign()
    for job in (first, second):
        loop.server.finish(job.job_id)
    loop.server.worked = {first.job_id: 80.0, second.job_id: 30.5, 999: 7.0}

    def look():
        return measure(loop.gateway, loop.ledger, loop.facts(), home=loop.home, now="2026-03-01")

    assert (look().why_not, look().own_only) == ("", False)
    rows = {row.job_id: row for row in loop.ledger.people.efforts()}
    assert {job: (row.arm, row.worked, row.objects) for job, row in rows.items()} == {
        first.job_id: ("control", 80.0, 0),
        second.job_id: ("pre-annotated", 30.5, 2),
    }
    loop.server.worked = None
    assert look().why_not == "analytics is switched off"
    loop.gateway.fail("working_time", UnreachableError("read", "it", 502, "bad gateway"))
    assert look().why_not == "CVAT did not say: bad gateway"
    assert {r.job_id: r for r in loop.ledger.people.efforts()} == rows


def test_a_project_without_finished_jobs_asks_nothing_of_analytics(loop):
    loop.run()
    measure(loop.gateway, loop.ledger, loop.facts(), home=loop.home, now="2026-03-01")
    assert loop.gateway.calls["working_time"] == 0


def test_a_pause_is_no_work(loop):
    loop.choose()
    loop.prioritise()
    ann = next(user for user in loop.server.users.values())
    jobs = sorted(loop.server.jobs)[:3]
    held = [loop.gateway.update_job(job, assignee=ann.id) for job in jobs]
    ended = dict(zip(jobs, ("T10:00:00Z", "T10:05:00Z", "T15:00:00Z"), strict=True))
    spells = spells_of(held, {job: f"2026-03-01{at}" for job, at in ended.items()})
    assert spells == {jobs[1]: 300.0}
    assert LONGEST_SPELL < 5 * 3600


def test_the_pieces_of_a_group_are_one_object():
    shape = {"frame": 3, "group": 0}
    held = JobAnnotations(
        shapes=(shape, {**shape, "group": 2}, {**shape, "group": 2}, {**shape, "frame": 9}),
        tracks=({"frame": 3},),
    )
    assert objects_in(held, [3]) == 3
