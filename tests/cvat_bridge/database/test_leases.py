from __future__ import annotations

import threading

import pytest
from sqlalchemy import insert

from cvat_bridge.database.flags import Flags
from cvat_bridge.database.keeping import KeptLease
from cvat_bridge.database.leases import Leases, check
from cvat_bridge.database.service_tables import flags as flag_table
from cvat_bridge.errors import LeaseLostError


@pytest.fixture
def database(site):
    with_tables = site.opened(site.service())
    yield with_tables
    with_tables.close()


@pytest.fixture
def leases(database):
    return Leases(database)


def test_of_two_one_holds_the_lease_and_the_other_waits_until_it_is_given_back(leases):
    first = leases.acquire("leader", "a", seconds=60)

    assert leases.acquire("leader", "b", seconds=60) is None
    assert [row.holder for row in leases.held()] == ["a"]
    leases.release(first)
    second = leases.acquire("leader", "b", seconds=60)
    assert (second.holder, second.token > first.token) == ("b", True)


def test_a_lease_that_was_not_renewed_passes_on_with_a_higher_token(leases):
    first = leases.acquire("leader", "a", seconds=-1)

    assert leases.held() == ()
    assert [row.holder for row in leases.expired()] == ["a"]
    second = leases.acquire("leader", "b", seconds=60)
    assert second.token > first.token
    with pytest.raises(LeaseLostError, match="b holds it now"):
        leases.renew(first, seconds=60)


def test_a_lease_that_ran_out_is_renewed_while_nobody_has_taken_it(leases):
    first = leases.acquire("leader", "a", seconds=-1)

    renewed = leases.renew(first, seconds=60, about={"does": "a fit"})

    assert renewed.left > 50
    assert leases.of("leader").about == {"does": "a fit"}


def test_an_evicted_holder_can_neither_renew_nor_write(leases, database):
    dead = leases.acquire("worker/1", "a", seconds=-1)

    assert leases.evict(dead)
    assert not leases.evict(dead)
    with pytest.raises(LeaseLostError):
        leases.renew(dead, seconds=60)
    with pytest.raises(LeaseLostError, match="Nothing was written"):
        database.write(lambda connection: check(connection, dead))


def test_a_lease_that_holds_is_not_evicted(leases):
    living = leases.acquire("worker/1", "a", seconds=60)

    assert not leases.evict(living)
    assert leases.of("worker/1").token == living.token


def test_of_many_that_ask_at_once_one_gets_it_and_tokens_never_come_twice(leases):
    got = []

    def ask(holder):
        got.append(leases.acquire("leader", holder, seconds=60))
        got.append(leases.acquire(f"worker/{holder}", holder, seconds=60))

    threads = [threading.Thread(target=ask, args=(f"h{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [row for row in got if row is not None]
    assert sum(row.name == "leader" for row in found) == 1
    assert len({row.token for row in found}) == len(found) == 9
    assert len(leases.held("worker/")) == 8


def test_a_holder_that_starts_again_gets_a_token_that_ends_its_former_self(leases, database):
    before = leases.acquire("leader", "home-1", seconds=60)
    after = leases.acquire("leader", "home-1", seconds=60)

    database.write(lambda connection: check(connection, after))
    with pytest.raises(LeaseLostError):
        database.write(lambda connection: check(connection, before))


def test_what_a_zombie_writes_in_the_transaction_of_its_check_is_not_there(leases, database):
    zombie = leases.acquire("leader", "a", seconds=-1)
    leases.acquire("leader", "b", seconds=60)

    def work(connection):
        connection.execute(insert(flag_table).values(name="x", about={}, since=0.0))
        check(connection, zombie)

    with pytest.raises(LeaseLostError):
        database.write(work)

    assert Flags(database).of("x") is None


def test_a_lease_cannot_pass_on_while_a_write_that_it_allows_is_under_way(site, leases):
    """From the check to the commit, in the place of a project."""
    lease = leases.acquire("leader", "a", seconds=60)
    checked, go_on, order = threading.Event(), threading.Event(), []
    project = site.opened(site.project(), fence=lambda connection: check(connection, lease))

    def work(connection):
        checked.set()
        go_on.wait(10)
        order.append("written")

    def take():
        checked.wait(10)
        leases.acquire("leader", "a", seconds=60)
        order.append("taken")

    threads = [
        threading.Thread(target=project.write, args=(work,)),
        threading.Thread(target=take),
    ]
    for thread in threads:
        thread.start()
    threads[1].join(0.3)  # what came through would be through by then
    go_on.set()
    for thread in threads:
        thread.join()
    project.close()

    assert order == ["written", "taken"]


def test_a_kept_lease_outlives_its_seconds_and_is_given_back(leases):
    with KeptLease(leases, leases.acquire("leader", "a", seconds=1.5), seconds=1.5) as kept:
        kept.about({"does": "nothing"})
        seen = threading.Event()
        while kept.lease.about != {"does": "nothing"}:
            seen.wait(0.02)
        kept.check()
        assert leases.of("leader").renewed > kept.lease.since

    assert leases.of("leader") is None


def test_a_kept_lease_that_somebody_took_is_lost_to_its_holder(leases, database):
    mine = leases.acquire("leader", "a", seconds=-1)
    leases.acquire("leader", "b", seconds=60)

    with KeptLease(leases, mine, seconds=30) as kept:
        with pytest.raises(LeaseLostError):
            kept.check()
        with pytest.raises(LeaseLostError, match="b holds it now"):
            database.write(kept.fence)

    assert leases.of("leader").holder == "b"


def test_a_flag_is_seen_by_all_and_taken_down_by_one(database):
    flags = Flags(database)
    flags.raise_("stop/run-1", {"who": "eva"})
    flags.raise_("stop/run-1", {"who": "adam"})

    assert flags.of("stop/run-1").about == {"who": "eva"}
    assert [flags.lower("stop/run-1"), flags.lower("stop/run-1")] == [True, False]
    assert flags.of("stop/run-1") is None
