"""Two bridges on one project: the second one refuses, a dead one is taken over."""

from __future__ import annotations

import threading

import pytest

from cvat_bridge.cvat.lease import STALE_AFTER, ProjectLease
from cvat_bridge.errors import AuthenticationError, ProjectTakenError, UnreachableError
from tests.fakes.gateway import FakeGateway
from tests.fakes.server import FakeServer

FOREVER = 9999.0  # renewed by the test alone


@pytest.fixture
def server():
    server = FakeServer()
    server.add_project("cells", ["cell"])
    return server


@pytest.fixture
def bridge(server):
    started = []

    def start(holder, *, gateway=None):
        (project,) = server.projects
        told = f"on host-{holder}, home /{holder}"
        one = ProjectLease(
            gateway or FakeGateway(server),
            project,
            holder=holder,
            description=told,
            renewed_every=FOREVER,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        one.release()


def held(server):
    return [lease.holder for _, lease in server.leases.values()]


def pass_time(server, seconds):
    """Let CVAT's clock go on; every reading of it is a second."""
    for _ in range(int(seconds)):
        server.now()


def test_the_second_one_refuses_and_says_who_when_and_what_to_do(server, bridge):
    bridge("a1").take()

    with pytest.raises(ProjectTakenError) as refused:
        bridge("b2").take()

    said = str(refused.value)
    assert "on host-a1, home /a1" in said
    assert "s ago (2026-01-01T" in said
    assert "Stop that one" in said
    assert held(server) == ["a1"]


def test_the_same_home_started_again_is_the_same_owner(server, bridge):
    bridge("a1").take()  # killed: it gave nothing back

    bridge("a1").take()

    assert held(server) == ["a1"]


def test_a_bridge_that_ended_well_leaves_the_project_free(server, bridge):
    first = bridge("a1")
    first.take()
    first.release()

    bridge("b2").take()

    assert held(server) == ["b2"]


def test_one_without_a_sign_of_life_is_taken_over(server, bridge):
    bridge("a1").take()
    pass_time(server, STALE_AFTER)

    bridge("b2").take()

    assert held(server) == ["b2"]


def test_one_that_gives_signs_of_life_is_not(server, bridge):
    first = bridge("a1")
    first.take()
    for _ in range(3):
        pass_time(server, STALE_AFTER / 2)
        first.renew()

    with pytest.raises(ProjectTakenError):
        bridge("b2").take()


def test_one_that_slept_and_was_taken_over_stops(server, bridge):
    first = bridge("a1")
    first.take()
    pass_time(server, STALE_AFTER)
    bridge("b2").take()

    first.renew()

    with pytest.raises(ProjectTakenError, match="home /b2"):
        first.check()
    assert held(server) == ["b2"]


def test_a_copy_of_the_home_that_starts_elsewhere_stops_the_first(server, bridge):
    first = bridge("a1")
    first.take()
    bridge("a1").take()

    first.renew()

    with pytest.raises(ProjectTakenError, match="a copy of this home"):
        first.check()


def test_a_lease_that_somebody_deleted_is_taken_again(server, bridge):
    first = bridge("a1")
    first.take()
    server.leases.clear()

    first.renew()

    first.check()
    assert held(server) == ["a1"]


def test_of_two_that_start_at_once_one_works(server, bridge):
    both = [bridge("a1"), bridge("b2")]
    refused = []

    def start(one):
        try:
            one.take()
        except ProjectTakenError:
            refused.append(one)

    threads = [threading.Thread(target=start, args=(one,)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(refused) == 1
    assert len(held(server)) == 1


def test_a_sign_of_life_that_cvat_does_not_take_is_given_the_next_time(server, bridge):
    gateway = FakeGateway(server)
    first = bridge("a1", gateway=gateway)
    first.take()
    before = dict(server.leases)
    gateway.fail("renew_lease", UnreachableError("renew", "lease", 503, "busy"))

    first.renew()
    assert server.leases == before
    first.renew()

    first.check()
    assert server.leases != before


def test_an_account_that_may_not_keep_webhooks_works_without(server, bridge):
    gateway = FakeGateway(server)
    gateway.fail("take_lease", AuthenticationError("take", "lease", 403, "no"))

    first = bridge("a1", gateway=gateway)
    first.take()

    first.check()
    assert held(server) == []
