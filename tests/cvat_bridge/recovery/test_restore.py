"""A ledger that is lost, old or damaged: seen at the start, restored; nothing goes out twice."""

from __future__ import annotations

import shutil

import pytest

from cvat_bridge.errors import RecordsError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import Membership
from cvat_bridge.recovery.command import sentences
from tests.cvat_bridge.recovery.conftest import finish
from tests.fakes.images import picture


def forget(path):
    for ending in ("", "-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def test_a_lost_ledger_stops_the_start_and_says_where_and_what_to_do(site):
    site.round()
    forget(site.home.ledger)

    with pytest.raises(RecordsError) as stopped, site.bridge():
        pass

    said = str(stopped.value)
    assert str(site.home.ledger) in said
    assert "round 1" in said
    assert "cvat-bridge restore" in said


def test_after_a_restore_the_next_round_takes_other_frames_under_the_next_number(site):
    first = site.round()
    with Ledger(site.home.ledger) as ledger:
        identity, before = ledger.identity, ledger.provenance()
    forget(site.home.ledger)

    restored = site.restore().restored
    finish(site)
    site.round()

    assert restored.identity == identity
    assert (restored.rounds, restored.tasks, restored.frames) == ((1,), (first,), 2)
    out = site.out()
    assert len(out) == len(set(out)) == 4
    with Ledger(site.home.ledger) as ledger:
        rows = ledger.rounds()
        after = ledger.provenance(1)
        assert [(row.number, row.state) for row in rows] == [(1, "done"), (2, "done")]
        assert rows[0].figures["selected"] == 2
        assert len(ledger.ranked_jobs(1)) == 2
    where = [(r.task_id, r.frame, r.source_task, r.source_frame, r.rank) for r in before]
    assert [(r.task_id, r.frame, r.source_task, r.source_frame, r.rank) for r in after] == where


def test_restore_says_what_is_lost_and_a_second_one_changes_nothing(site):
    site.round()
    forget(site.home.ledger)

    lines = sentences(site.restore())
    again = sentences(site.restore())

    assert any(line.startswith("restored: rounds: 1") for line in lines)
    assert any(line.startswith("lost: what people did to the pre-annotations") for line in lines)
    assert again == ["the ledger knows all that CVAT and the home know; nothing was changed"]


def test_an_old_copy_of_the_ledger_is_seen_and_brought_up_to_date(site, tmp_path):
    site.round()
    old = tmp_path / "old.db"
    shutil.copy(site.home.ledger, old)
    finish(site)
    site.round()
    forget(site.home.ledger)
    shutil.copy(old, site.home.ledger)

    with pytest.raises(RecordsError, match="know round 2, and .* ends with round 1"), site.bridge():
        pass
    assert site.restore().restored.rounds == (2,)
    finish(site)
    site.round()

    out = site.out()
    assert len(out) == len(set(out)) == 6


def test_a_home_that_is_gone_altogether_is_restored_from_cvat(site, tmp_path):
    site.round()
    new = site.other_home(tmp_path / "new")

    with (
        pytest.raises(RecordsError, match="tasks of rounds .1: task .* of another ledger"),
        new.bridge(),
    ):
        pass
    assert new.restore().restored.rounds == (1,)
    finish(site)
    new.round()

    out = new.out()
    assert len(out) == len(set(out)) == 4


def test_an_equal_image_of_one_that_is_out_is_not_handed_out_after_a_restore(site):
    task = site.round()
    stored = site.server.tasks[task]
    site.server.add_task(
        site.config.project_id, {f"again-{n}.png": c for n, c in enumerate(stored.files)}
    )
    forget(site.home.ledger)

    site.restore()
    finish(site)
    site.round()
    finish(site)
    site.round()

    out = site.out()
    assert len(out) == len(set(out)) == 6


def test_a_round_that_was_under_way_is_ended_by_a_restore(site):
    site.gateway.fail("create_task", ValueError("the process was to end here"))
    with pytest.raises(Exception, match="was to end here"), site.bridge() as bridge:
        bridge.run_round()
    forget(site.home.ledger)

    with pytest.raises(RecordsError, match="round 1"), site.bridge():
        pass
    outcome = site.restore()
    site.round()

    assert outcome.restored.ended == (1,)
    assert any(line.startswith("ended: round 1") for line in sentences(outcome))
    with Ledger(site.home.ledger) as ledger:
        assert [row.number for row in ledger.rounds()] == [1, 2]


def test_lost_records_of_rounds_alone_are_made_anew(site):
    site.round()
    forget(site.home.root / "rounds.db")
    finish(site)

    site.round()

    out = site.out()
    assert len(out) == len(set(out)) == 4


def test_records_of_rounds_that_are_older_than_the_ledger_are_not_gone_on_with(site, tmp_path):
    rounds = site.home.root / "rounds.db"
    site.gateway.fail("create_task", ValueError("the process was to end here"))
    with pytest.raises(Exception, match="was to end here"), site.bridge() as bridge:
        bridge.run_round()
    shutil.copy(rounds, tmp_path / "rounds.db")
    site.round()
    finish(site)
    site.round()
    forget(rounds)
    shutil.copy(tmp_path / "rounds.db", rounds)

    with pytest.raises(RecordsError, match="they are older than the ledger"), site.bridge():
        pass
    assert site.restore().restored.ended == (1,)
    finish(site)
    site.round()

    out = site.out()
    assert len(out) == len(set(out)) == 6


@pytest.mark.parametrize("name", ["ledger.db", "rounds.db"])
@pytest.mark.parametrize("damage", ["cut", "overwritten"])
def test_a_damaged_database_is_named_and_set_aside_by_a_restore(site, name, damage):
    site.round()
    path = site.home.root / name
    content = path.read_bytes()
    forget(path)
    path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"\x07" * len(content))

    found = f"{name} cannot be read.*cvat-bridge restore"
    with pytest.raises(RecordsError, match=found), site.bridge():
        pass
    outcome = site.restore()
    finish(site)
    site.round()

    assert [old.name for old in outcome.set_aside] == [name]
    out = site.out()
    assert len(out) == len(set(out)) == 4


def test_images_keep_their_side_of_the_holdout(site):
    finish(site, copies=False)
    with site.bridge() as bridge:
        bridge.run_round()
    with Ledger(site.home.ledger) as ledger:
        before, used = ledger.memberships(), ledger.used_jobs()
    forget(site.home.ledger)

    site.restore()

    with Ledger(site.home.ledger) as ledger:
        after = ledger.memberships()
        assert {sha: row.role for sha, row in after.items()} == {
            sha: row.role for sha, row in before.items()
        }
        assert {n: row.updated_date for n, row in ledger.used_jobs().items()} == {
            n: row.updated_date for n, row in used.items()
        }
    assert {row.role for row in before.values()} == {"train", "holdout"}
    assert all(isinstance(row, Membership) for row in after.values())


def test_frames_of_one_name_in_several_tasks_are_told_apart_by_their_images(site):
    names = [f"{n}.png" for n in range(8)]
    site.server.add_task(
        site.config.project_id, {name: picture(100 + n) for n, name in enumerate(names)}
    )
    site.round()
    with Ledger(site.home.ledger) as ledger:
        before = {(r.frame, r.source_task, r.source_frame) for r in ledger.provenance()}
    forget(site.home.ledger)

    site.restore()

    with Ledger(site.home.ledger) as ledger:
        assert {(r.frame, r.source_task, r.source_frame) for r in ledger.provenance()} == before


def test_after_a_restore_a_task_whose_sources_are_gone_stops_no_start(site):
    site.round()
    forget(site.home.ledger)
    (first, *_) = sorted(site.server.tasks)
    site.server.drop_task(first)
    site.server.add_task(site.config.project_id, {"new.png": picture(77)})

    site.restore()

    with site.bridge() as bridge:
        assert bridge.next().number == 2
