"""A database that goes away for a while: work waits, says so in a plain word, and goes on."""

from __future__ import annotations

import threading
import time

import pytest
from structlog.testing import capture_logs

from cvat_bridge.database.keeping import KeptLease
from cvat_bridge.database.leases import Leases
from cvat_bridge.database.place import project_place
from cvat_bridge.errors import DatabaseAwayError, LedgerError
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.records import JobLook, Round
from cvat_bridge.loop.workflow import Durable, Rounds, Step
from tests.patience import patience

from .conftest import Site


@pytest.fixture
def away(postgresql, database_url, tmp_path):
    """A site whose server is stopped within the test; it runs again afterwards."""
    yield Site(tmp_path, database_url)
    postgresql.start()


def test_work_waits_for_a_server_that_was_stopped_and_goes_on(away, postgresql):
    with Ledger(away.project(), away=patience(60)) as ledger, capture_logs() as logs:
        ledger.add_looks([JobLook(1, "2026", touched=False)])
        postgresql.stop()
        writer = threading.Thread(
            target=ledger.add_looks, args=([JobLook(2, "2026", touched=True)],)
        )
        writer.start()
        while not logs:
            time.sleep(0.02)
        assert writer.is_alive()
        postgresql.start()
        writer.join()

        assert sorted(ledger.looks()) == [1, 2]
    said = [row["event"] for row in logs]
    assert said == ["waiting for the database", "the database answers again"]
    assert "does not answer" in logs[0]["why"]


def test_who_does_not_wait_is_told_in_a_plain_word(away, postgresql):
    with Ledger(away.project()) as ledger:
        postgresql.stop()

        with pytest.raises(DatabaseAwayError, match="does not answer .*Does it run") as told:
            ledger.looks()
        assert "psycopg" not in str(told.value)


def test_a_round_under_way_outlives_a_restart_of_the_server(away, postgresql):
    restarts = []

    def cut(number, answers):
        if not restarts:  # the step runs again where its answer could not be recorded
            postgresql.stop()
            restarts.append(threading.Timer(1.0, postgresql.start))
            restarts[0].start()
        return {"cut": number}

    with Ledger(away.project(), away=patience(60)) as ledger, Durable(away.url) as durable:
        steps = [Step("cut", cut), Step("after", lambda number, seen: {"sum": seen["cut"]["cut"]})]
        rounds = Rounds(steps, ledger, project_id=12, durable=durable)
        durable.launch()
        ended = rounds.run(4)
        restarts[0].join()

        assert ended.answers["after"]["sum"] == 4
        assert [(row.number, row.state) for row in ledger.rounds()] == [(4, "done")]


def test_a_leader_stays_leader_over_a_restart_of_the_server(away, postgresql):
    database = away.opened(away.service(), away=patience(60))
    leases = Leases(database)
    with KeptLease(leases, leases.acquire("leader", "a", seconds=60), seconds=60) as kept:
        postgresql.stop()
        postgresql.start()

        assert leases.acquire("leader", "b", seconds=60) is None
        with Ledger(away.project(), away=patience(60), fence=kept.fence) as ledger:
            ledger.save_round(Round(1, 12, "done"))
            assert len(ledger.rounds()) == 1


SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("no server", "does not answer"),
        ("no such database", "the database or the user is not there"),
        ("wrong user", "the database or the user is not there"),
        ("no rights", "GRANT CREATE, CONNECT ON DATABASE"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_without_its_password(
    fault, said, database_url, postgresql, tmp_path
):
    name = database_url.partition("@/")[2].partition("?")[0]
    url = {
        "no server": f"postgresql://eva:{SECRET}@127.0.0.1:1/x?password={SECRET}",
        "no such database": postgresql.url("nowhere", password=SECRET),
        "wrong user": postgresql.url(name, user="nobody_here", password=SECRET),
        "no rights": postgresql.url(name, user="guest", password=SECRET),
    }[fault]
    if fault == "no rights":
        postgresql.execute("DROP ROLE IF EXISTS guest")
        postgresql.execute("CREATE ROLE guest LOGIN")

    with pytest.raises(LedgerError, match=said) as told:
        Ledger(project_place(url, tmp_path / "ledger.db", 12))

    assert SECRET not in str(told.value) and SECRET not in repr(told.value)
