from __future__ import annotations

import pkgutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from cvat_bridge.database.engine import close_servers
from cvat_bridge.database.migrations import project as project_versions
from cvat_bridge.database.place import project_place
from cvat_bridge.errors import LedgerError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import (
    AnnotatedFrame,
    Correction,
    Decision,
    FrameFacts,
    JobLook,
    Judgement,
    KnownLabel,
    Membership,
    PoolRecord,
    PreAnnotatedJob,
    Proposal,
    Provenance,
    RankedJob,
    Request,
    Round,
    SelectedFrame,
    UsedJob,
)
from tests.fakes.old_ledger import write_old_ledger

FRAME = FrameFacts("1/0", 1, 0, "a" * 64, ".jpg", 640, 480, "0" * 64)
CHOSEN = SelectedFrame(1, 1, 0, 0.75, "strategy", "unsure of a cell")
DRAWN = SelectedFrame(2, 1, 4, None, "control", "drawn at random", 12.5)
COPY = Provenance(9, 0, 1, 0, 3, 1, 0.75, "strategy", "unsure of a cell")
PROPOSAL = Proposal(3, 7, 0, 0, 5, "cell", "rectangle", (1.0, 2.5, 3.0, 4.0), 0.8, "m1")
CORRECTION = Correction(3, 7, 0, 0, "nudged", "cell", "cell", 0.8, 0.9, "m1")
ROUND = Round(3, 12, "fit", "", "2026-01-01T00:00:00", reasons=("first",), figures={"pool": 4})
DECISION = Decision(3, "", "m1", True, ("nothing served",), {"ap": 0.4}, "2026-01-01T00:00:00")
MEMBER = Membership("a" * 64, "train", "a" * 64, "beyond the share", "2026-01-01")

NEWEST = len(list(pkgutil.iter_modules(project_versions.__path__)))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where one project's ledger stands."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("database_url")
    return project_place(url, tmp_path / "home" / "ledger.db", 12)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "ledger.db"


def write_everything(ledger):
    ledger.add_frames([FRAME])
    ledger.use_jobs([UsedJob(7, "2026", "completed", "f00d")])
    ledger.add_looks([JobLook(8, "2026", touched=True)])
    ledger.set_selection(3, [CHOSEN, DRAWN], about={"strategy": "entropy"})
    ledger.set_ranked_jobs(3, [RankedJob(1, 7, 9, (0, 4), (0.75, None), "ranks 1-2")])
    ledger.add_provenance([COPY])
    ledger.set_proposals(3, 7, [PROPOSAL])
    ledger.save_preannotated(PreAnnotatedJob(7, 3, "m1"))
    ledger.set_corrections(7, [CORRECTION])
    ledger.save_round(ROUND)
    ledger.save_decision(DECISION)
    ledger.add_memberships([MEMBER])


def contents(ledger):
    return {
        "frames": ledger.frames(),
        "used": ledger.used_jobs(),
        "looks": ledger.looks(),
        "selection": ledger.selection(3),
        "choice": ledger.choice(3),
        "jobs": ledger.ranked_jobs(3),
        "provenance": ledger.provenance(),
        "proposals": ledger.proposals(),
        "done": ledger.preannotated(),
        "corrections": ledger.corrections(),
        "rounds": ledger.rounds(),
        "decisions": ledger.decisions(),
        "members": ledger.memberships(),
    }


def test_everything_written_comes_back_after_reopening(place):
    with Ledger(place) as ledger:
        write_everything(ledger)
        identity = ledger.identity
    with Ledger(place) as ledger:
        found = contents(ledger)
        same = ledger.identity == identity

    expected = {
        "frames": {"1/0": FRAME},
        "used": {7: UsedJob(7, "2026", "completed", "f00d")},
        "looks": {8: JobLook(8, "2026", touched=True)},
        "selection": (CHOSEN, DRAWN),
        "choice": {"strategy": "entropy"},
        "jobs": (RankedJob(1, 7, 9, (0, 4), (0.75, None), "ranks 1-2"),),
        "provenance": (COPY,),
        "proposals": (PROPOSAL,),
        "done": {7: PreAnnotatedJob(7, 3, "m1")},
        "corrections": (CORRECTION,),
        "rounds": (ROUND,),
        "decisions": (DECISION,),
        "members": {"a" * 64: MEMBER},
    }
    assert found == expected
    assert same


def test_writing_everything_twice_changes_nothing(place):
    with Ledger(place) as ledger:
        write_everything(ledger)
        once = contents(ledger)
        write_everything(ledger)

        assert contents(ledger) == once


def test_two_projects_share_a_database_and_no_row(place):
    """On a server each has a schema of its own, in a folder of homes a file."""
    file = None if place.file is None else place.file.with_name("other.db")
    other = replace(place, file=file, schema=place.schema and "cvat_bridge_project_13")
    with Ledger(place) as first, Ledger(other) as second:
        write_everything(first)

        assert first.identity != second.identity
        assert second.frames() == {} and second.rounds() == ()
        second.set_labels([KnownLabel(1, "cat", "rectangle")])
        assert first.labels() == ()


def test_texts_come_in_the_order_of_their_bytes_on_both(place):
    keys = ["1/10", "1/2", "a/1", "B/1", "é/1", "~/1"]
    with Ledger(place) as ledger:
        ledger.add_frames(replace(FRAME, key=key) for key in keys)

        assert list(ledger.frames()) == ["1/10", "1/2", "B/1", "a/1", "~/1", "é/1"]


def test_figures_that_are_no_number_and_long_texts_come_back(place):
    odd = replace(ROUND, figures={"ap": float("inf"), "why": "ü\u2028" * 1000}, reasons=())
    with Ledger(place) as ledger:
        ledger.save_round(odd)

        assert ledger.rounds() == (odd,)


def test_wishes_of_many_at_once_are_numbered_once_each(place):
    with Ledger(place) as ledger, Ledger(place) as other:

        def ask(target, base):
            for n in range(4):
                target.open_request(Request(f"{base}{n}", 0, "eva", "", "", "m", "now", {}))

        threads = [
            threading.Thread(target=ask, args=(one, base))
            for one, base in ((ledger, "a"), (ledger, "b"), (other, "c"))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [row.number for row in ledger.requests()] == list(range(1, 13))


def test_the_pools_of_the_three_newest_models_are_kept(place):
    with Ledger(place) as ledger:
        for n in range(5):
            ledger.save_pool(PoolRecord(f"m{n}", n, 1, "f", "c", f"2026-0{n + 1}"))

        assert [row.model for row in ledger.pools()] == ["m2", "m3", "m4"]


def rows_of(db, table):
    return db.execute(f'SELECT * FROM "{table}"').fetchall()  # noqa: S608 our own names


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_ledger_of_the_first_release_is_taken_over_row_for_row(path, version):
    write_old_ledger(path, version)
    with closing(sqlite3.connect(path)) as old:
        tables = [name for (name,) in old.execute("SELECT name FROM sqlite_master WHERE sql > ''")]
        tables = [name for name in tables if not name.endswith(("_by_round", "_by_job"))]
        before = {name: rows_of(old, name) for name in tables}

    with Ledger(path) as ledger:
        assert ledger.identity == "0a1b2c3d"
        assert [row.frame for row in ledger.frames().values()] == [0, 10, 2]
        assert ledger.looks()[8].touched is True
        ledger.save_judgement(Judgement("n", "holdout", 1, 2, 3, 4, 0.5, "f", "c", "2026"))
        write_everything(ledger)
        ledger.save_annotated([AnnotatedFrame(3, 1, "m", {"7": 0.5}, 1)])
    write_old_ledger(path.with_name("same.db"), version)
    Ledger(path.with_name("same.db")).close()

    with closing(sqlite3.connect(path.with_name("same.db"))) as new:
        for name, rows in before.items():
            assert rows_of(new, name) == rows, name
        assert new.execute("PRAGMA user_version").fetchone() == (NEWEST,)


def test_a_ledger_on_a_server_that_is_later_than_this_program_is_refused(
    database_url, postgresql, tmp_path
):
    place = project_place(database_url, tmp_path / "x.db", 12)
    Ledger(place).close()
    close_servers()
    name = database_url.partition("@/")[2].partition("?")[0]
    postgresql.execute(
        "UPDATE {}.alembic_version SET version_num = '99'", place.schema, database=name
    )

    with pytest.raises(LedgerError, match=f"has version 99, this program knows up to {NEWEST}"):
        Ledger(place)


def test_an_image_becomes_holdout_and_never_leaves_it(place):
    held = Membership("a" * 64, "holdout", "g", "held out by people", "2026-02-01")
    with Ledger(place) as ledger:
        ledger.add_memberships([MEMBER])
        ledger.add_memberships([held])
        ledger.add_memberships([MEMBER])

        assert ledger.memberships()["a" * 64].role == "holdout"


def test_rows_are_found_by_job_and_round(place):
    other = Proposal(4, 8, 1, 0, 5, "cell", "rectangle", (0.0, 0.0, 1.0, 1.0), 0.5, "m2", 77)
    with Ledger(place) as ledger:
        ledger.set_proposals(3, 7, [PROPOSAL])
        ledger.set_proposals(4, 8, [other])

        assert ledger.proposals(job_id=8) == (other,)
        assert ledger.proposals(number=3) == (PROPOSAL,)


def test_a_failed_write_leaves_the_rows_before_it(place):
    """All rows of a call are written or none is."""
    with Ledger(place) as ledger:
        ledger.add_frames([FRAME])

        def rows():
            yield FrameFacts("1/1", 1, 1, "b" * 64, ".jpg", 1, 1, "")
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="disk is gone"):
            ledger.add_frames(rows())

        assert set(ledger.frames()) == {"1/0"}


def test_threads_write_without_losing_rows(place):
    with Ledger(place) as ledger, Ledger(place) as other:

        def write(target, base):
            for n in range(30):
                target.add_looks([JobLook(base + n, "2026", touched=False)])

        threads = [
            threading.Thread(target=write, args=(one, base))
            for one, base in ((ledger, 0), (ledger, 100), (other, 200))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        expected = {base + n for base in (0, 100, 200) for n in range(30)}
        assert set(ledger.looks()) == expected


def test_a_ledger_of_a_later_version_is_refused(path):
    Ledger(path).close()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.commit()
    db.close()

    with pytest.raises(LedgerError, match="version 99"):
        Ledger(path)


def test_a_file_that_is_no_ledger_is_named(tmp_path):
    path = tmp_path / "ledger.db"
    path.write_bytes(b"this is not a database" * 100)

    with pytest.raises(LedgerError, match=str(path)):
        Ledger(path)


def test_frames_that_annotate_did_are_kept_by_model_and_replaced(place):
    on_its_way = AnnotatedFrame(3, 0, "m", {"7": 0.5}, 1, ({"frame": 0, "points": [1.5]},))
    done = AnnotatedFrame(3, 0, "m", {"7": 0.5}, 1)
    other = AnnotatedFrame(3, 0, "n", {"7": 0.1}, 2)
    with Ledger(place) as ledger:
        ledger.save_annotated([on_its_way, other])
        first = ledger.annotated(3, "m")
        ledger.save_annotated([done])

        assert first == {0: on_its_way}
        assert ledger.annotated(3, "m") == {0: done}
        assert ledger.annotated(4, "m") == {}
