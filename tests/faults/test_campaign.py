"""The short form of `make faults`."""

from tests.faults.bridge import homes, late_writes
from tests.faults.calls import CALLS, FAULTS, spoilt_calls
from tests.faults.campaign import bad_models, bodies, deliveries, hosted, kills
from tests.faults.hostile import hostile_files
from tests.faults.killing import killed_hosts, killed_servers
from tests.faults.people import interleavings


def assert_held(*lines, tried=1):
    assert [line.failed for line in lines if line.held < line.tried] == []
    assert all(line.tried >= tried for line in lines)


def test_faults_harm_nobody_but_who_causes_them(tmp_path):
    with hosted(tmp_path) as (url, host):
        lines = [kills(url, host, 3), bodies(url, 40), *bad_models(url, 8)]
    assert_held(*lines, deliveries(280), tried=3)


def test_the_bridge_ends_the_same(tmp_path):
    assert_held(homes(tmp_path / "homes", 4), late_writes(tmp_path / "late", 2), tried=2)


def test_calls_end_right_whatever_happens_on_the_way(tmp_path):
    assert len(CALLS) >= 25
    assert len(FAULTS) >= 9
    assert_held(spoilt_calls(tmp_path, 24, seed=1), tried=24)


def test_what_people_do_beside_a_run_stays(tmp_path):
    assert_held(interleavings(tmp_path, 12, seed=1), tried=12)


def test_what_the_bridge_depends_on_may_be_killed(tmp_path):
    assert_held(killed_hosts(tmp_path / "hosts", 1), killed_servers(tmp_path / "servers", 2))


def test_hostile_files_do_nothing(tmp_path):
    assert_held(hostile_files(tmp_path, 8, seed=1), tried=8)
