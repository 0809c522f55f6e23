"""Two on one database: one leads, the other waits, and what was stopped too long cannot write."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import urllib.request
from pathlib import Path

import pytest

from cvat_bridge.config import Config, CvatSection
from cvat_bridge.database.leases import Leases
from cvat_bridge.errors import HomeHeldError
from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from cvat_bridge.ledger.leading import (
    LEADER,
    ask_for_round,
    bridge_identity,
    leader_of,
    leading,
    place_of,
    round_is_asked_for,
    take_request,
    wait_to_lead,
)
from cvat_bridge.service.standby import stand_by
from tests.patience import patience

ROOT = Path(__file__).resolve().parents[3]

# Leads for three seconds at a time and writes a label after the other, by a clock an hour off.
LEADER_PROCESS = """
    import sys, time
    real = time.time
    time.time = lambda: real() + float(sys.argv[1])
    from tests.cvat_bridge.database.conftest import Site
    from cvat_bridge.database.keeping import KeptLease
    from cvat_bridge.database.leases import Leases
    from cvat_bridge.errors import LeaseLostError
    from cvat_bridge.ledger import Ledger
    from cvat_bridge.ledger.records import KnownLabel
    from pathlib import Path

    site = Site(Path(sys.argv[2]), sys.argv[3] or None)
    leases = Leases(site.opened(site.service()))
    lease = leases.acquire("leader", "first", seconds=3)
    kept = KeptLease(leases, lease, seconds=3)
    with Ledger(site.project(), fence=kept.fence) as ledger:
        try:
            for n in range(1, 1000000):
                ledger.set_labels([KnownLabel(n, "first", "mask")])
                print(n, flush=True)
                time.sleep(0.02)
        except LeaseLostError as error:
            print("lost:", error, flush=True)
"""


@pytest.fixture
def config(site):
    return Config(
        home=site.folder,
        cvat=CvatSection(url="http://127.0.0.1:1", project=12),
        database_url=site.url,
    )


def test_a_leader_stopped_for_longer_than_its_lease_writes_nothing_more(site):
    code = textwrap.dedent(LEADER_PROCESS)
    words = ["3600" if site.url else "-3600", str(site.folder), site.url or ""]
    leases = Leases(site.opened(site.service()))
    first = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert [first.stdout.readline().strip() for _ in range(3)] == ["1", "2", "3"]
        first.send_signal(signal.SIGSTOP)
        rest = threading.Event()
        while (second := leases.acquire("leader", "second", seconds=60)) is None:
            rest.wait(0.05)
        with Ledger(site.project()) as ledger:
            ledger.set_labels([])
        first.send_signal(signal.SIGCONT)
        said, _ = first.communicate(timeout=patience(20))
    finally:
        first.kill()
        first.wait()

    assert "lost:" in said and "Nothing was written" in said
    with Ledger(site.project()) as ledger:
        assert ledger.labels() == ()
    assert leases.of("leader").token == second.token


def test_whoever_leads_is_named_until_it_ends(config, site):
    with leading(config, by="service"):
        assert leader_of(config).about == {"by": "service", "place": Home.of(config).place}
        beside = Leases(site.opened(site.service())).acquire(LEADER, "another", seconds=60)
        assert beside is None
    assert leader_of(config) is None


def test_a_command_is_refused_while_a_service_elsewhere_leads(config, site):
    leases = Leases(site.opened(site.service()))
    lease = leases.acquire(LEADER, "elsewhere", seconds=60, about={"by": "service", "place": "B"})
    with pytest.raises(HomeHeldError, match="the service .* works in this database, B") as told:
        leading(config, by="command").__enter__()

    assert told.value.by == "service"
    leases.release(lease)
    with leading(config, by="command"):
        assert leader_of(config).about["by"] == "command"


def test_a_standby_answers_that_it_waits_and_leads_when_the_lead_is_free(config, site):
    leases = Leases(site.opened(site.service()))
    lease = leases.acquire(LEADER, "elsewhere", seconds=60, about={"place": "machine B"})
    seen = []

    def wait(ended, tell):
        def told(leader):
            tell(place_of(leader))
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=10)
            except OSError as error:
                seen.append(str(error))
            leases.release(lease)

        return wait_to_lead(config, ended=ended, waiting=told)

    port = _free_port()

    assert stand_by(wait, host="127.0.0.1", port=port)
    assert len(seen) == 1


def test_a_round_is_asked_for_once_wherever_it_is_asked(config):
    assert not round_is_asked_for(config)
    ask_for_round(config)

    assert round_is_asked_for(config)
    assert [take_request(config), take_request(config)] == [True, False]


def test_all_homes_on_one_server_are_one_bridge_to_cvat(config, site):
    other = config.model_copy(update={"home": site.folder / "other"})

    same = bridge_identity(config) == bridge_identity(other)

    assert same == (site.url is not None)
    assert bridge_identity(config) == bridge_identity(config)


def _free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
