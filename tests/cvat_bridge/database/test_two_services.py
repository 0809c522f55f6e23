"""Two real services on one PostgreSQL and one CVAT: the second goes on where the first ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest
import yaml

from cvat_bridge.ledger.opening import ledger_of
from cvat_bridge.projects import load_served
from cvat_bridge.sandbox import running
from tests.contract.conftest import LABELS
from tests.contract.http_stage import HttpStage
from tests.contract.stage import pictures
from tests.patience import patience


class Service:
    """`cvat-bridge run` as a process of its own, in a home of its own."""

    def __init__(self, folder, token, settings):
        folder.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.config = folder / "cvat-bridge.yaml"
        service = {"port": self.port, "poll_seconds": 2}
        text = yaml.safe_dump({"home": "home", "service": service, **settings})
        self.config.write_text(text, encoding="utf-8")
        self.log = folder / "log"
        with self.log.open("w", encoding="utf-8") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cvat_bridge.cli", "run", "-c", str(self.config)],
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "CVAT_ACCESS_TOKEN": token},
            )

    def health(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz") as answer:
                return json.load(answer)
        except (OSError, urllib.error.URLError):
            return None

    def until(self, there):
        end, rest = time.monotonic() + patience(60), threading.Event()
        while not there():
            ended = self.process.poll() is not None
            assert not ended and time.monotonic() < end, self.log.read_text(encoding="utf-8")
            rest.wait(0.2)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience(30))

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def site(tmp_path, database_url):
    """Returns a way to start services for one project of a CVAT with four free images."""
    started = []
    with running(tmp_path / "sandbox") as cvat:
        stage = HttpStage(cvat.url, tmp_path / "cache", token=cvat.admin_token, login=None)
        project = stage.add_project(LABELS)
        stage.add_task(project, pictures(4))

        def start(name):
            settings = {
                "cvat": {"url": cvat.url, "project": project},
                "database_url": database_url,
                "page": {"enabled": False},
            }
            started.append(Service(tmp_path / name, cvat.admin_token, settings))
            return started[-1]

        yield start
        for service in started:
            service.kill()
        stage.close()


def test_a_second_service_waits_and_goes_on_where_the_first_ended(site):
    first = site("first")
    first.until(first.health)
    first.until(lambda: "step started" in first.log.read_text(encoding="utf-8"))
    second = site("second")
    second.until(second.health)
    config = load_served(first.config).projects[0].config

    waiting = second.health()
    assert (waiting["ok"], waiting["leads"]) == (True, False)
    assert str(first.config.parent)[-20:] in waiting["leader"]
    assert first.end() == -signal.SIGTERM
    second.until(lambda: "leads" not in (second.health() or {"leads": False}))

    # The round that the first began, and no other, goes on in the second.
    second.until(lambda: "step started" in second.log.read_text(encoding="utf-8"))
    with ledger_of(config) as ledger:
        assert [row.number for row in ledger.rounds()] == [1]
