"""The short form of `make faults`."""

from tests.faults.bridge import homes, late_writes
from tests.faults.campaign import bad_models, bodies, deliveries, hosted, kills


def test_faults_harm_nobody_but_who_causes_them(tmp_path):
    with hosted(tmp_path) as (url, host):
        lines = [kills(url, host, 3), bodies(url, 40), *bad_models(url, 8)]
    lines.append(deliveries(220))

    assert [line.failed for line in lines if line.held < line.tried] == []
    assert all(line.tried >= 3 for line in lines)


def test_the_bridge_ends_the_same(tmp_path):
    lines = [homes(tmp_path / "homes", 4), late_writes(tmp_path / "late", 2)]

    assert [line.failed for line in lines if line.held < line.tried] == []
    assert all(line.tried >= 2 for line in lines)
