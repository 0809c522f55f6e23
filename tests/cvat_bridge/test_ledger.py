from __future__ import annotations

import sqlite3
import threading

import pytest

from cvat_bridge.errors import LedgerError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import (
    AnnotatedFrame,
    Correction,
    Decision,
    FrameFacts,
    JobLook,
    Membership,
    PreAnnotatedJob,
    Proposal,
    Provenance,
    RankedJob,
    Round,
    SelectedFrame,
    UsedJob,
)

FRAME = FrameFacts("1/0", 1, 0, "a" * 64, ".jpg", 640, 480, "0" * 64)
CHOSEN = SelectedFrame(1, 1, 0, 0.75, "strategy", "unsure of a cell")
DRAWN = SelectedFrame(2, 1, 4, None, "control", "drawn at random", 12.5)
COPY = Provenance(9, 0, 1, 0, 3, 1, 0.75, "strategy", "unsure of a cell")
PROPOSAL = Proposal(3, 7, 0, 0, 5, "cell", "rectangle", (1.0, 2.5, 3.0, 4.0), 0.8, "m1")
CORRECTION = Correction(3, 7, 0, 0, "nudged", "cell", "cell", 0.8, 0.9, "m1")
ROUND = Round(3, 12, "fit", "", "2026-01-01T00:00:00", reasons=("first",), figures={"pool": 4})
DECISION = Decision(3, "", "m1", True, ("nothing served",), {"ap": 0.4}, "2026-01-01T00:00:00")
MEMBER = Membership("a" * 64, "train", "a" * 64, "beyond the share", "2026-01-01")


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


def test_everything_written_comes_back_after_reopening(path):
    with Ledger(path) as ledger:
        write_everything(ledger)
        identity = ledger.identity
    with Ledger(path) as ledger:
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


def test_writing_everything_twice_changes_nothing(path):
    with Ledger(path) as ledger:
        write_everything(ledger)
        once = contents(ledger)
        write_everything(ledger)

        assert contents(ledger) == once


def test_two_ledgers_have_two_identities(tmp_path):
    with Ledger(tmp_path / "a.db") as first, Ledger(tmp_path / "b.db") as second:
        assert first.identity != second.identity


def test_an_image_becomes_holdout_and_never_leaves_it(path):
    held = Membership("a" * 64, "holdout", "g", "held out by people", "2026-02-01")
    with Ledger(path) as ledger:
        ledger.add_memberships([MEMBER])
        ledger.add_memberships([held])
        ledger.add_memberships([MEMBER])

        assert ledger.memberships()["a" * 64].role == "holdout"


def test_rows_are_found_by_job_and_round(path):
    other = Proposal(4, 8, 1, 0, 5, "cell", "rectangle", (0.0, 0.0, 1.0, 1.0), 0.5, "m2", 77)
    with Ledger(path) as ledger:
        ledger.set_proposals(3, 7, [PROPOSAL])
        ledger.set_proposals(4, 8, [other])

        assert ledger.proposals(job_id=8) == (other,)
        assert ledger.proposals(number=3) == (PROPOSAL,)


def test_a_failed_write_leaves_the_rows_before_it(path):
    """All rows of a call are written or none is."""
    with Ledger(path) as ledger:
        ledger.add_frames([FRAME])

        def rows():
            yield FrameFacts("1/1", 1, 1, "b" * 64, ".jpg", 1, 1, "")
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="disk is gone"):
            ledger.add_frames(rows())

        assert set(ledger.frames()) == {"1/0"}


def test_threads_write_without_losing_rows(path):
    with Ledger(path) as ledger, Ledger(path) as other:

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


def test_frames_that_annotate_did_are_kept_by_model_and_replaced(tmp_path):
    on_its_way = AnnotatedFrame(3, 0, "m", {"7": 0.5}, 1, ({"frame": 0, "points": [1.5]},))
    done = AnnotatedFrame(3, 0, "m", {"7": 0.5}, 1)
    other = AnnotatedFrame(3, 0, "n", {"7": 0.1}, 2)
    with Ledger(tmp_path / "ledger.db") as ledger:
        ledger.save_annotated([on_its_way, other])
        first = ledger.annotated(3, "m")
        ledger.save_annotated([done])

        assert first == {0: on_its_way}
        assert ledger.annotated(3, "m") == {0: done}
        assert ledger.annotated(4, "m") == {}
