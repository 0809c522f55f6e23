"""Commands beside a running service: what looks works, a round is asked for."""

from __future__ import annotations

import threading
import time

import pytest
import structlog
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.errors import HomeHeldError
from cvat_bridge.home import Home
from cvat_bridge.service.service import Loop, TickResult
from tests.patience import patience


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "token")
    path = tmp_path / "cvat-bridge.yaml"
    path.write_text("home: home\ncvat: {project: 1, url: 'http://127.0.0.1:9'}\n", encoding="utf-8")
    yield path
    structlog.reset_defaults()  # the command logged to a stream that is closed now


def test_a_round_is_asked_of_the_service_that_runs(config):
    home = Home(config.parent / "home")
    with home.held("service"):
        answer = CliRunner().invoke(app, ["round", "-c", str(config)])

    assert answer.exit_code == 0, answer.output
    assert "the running service was asked" in answer.stdout
    assert home.take_request()
    assert not home.take_request()


def test_a_command_that_works_there_is_not_asked(config):
    home = Home(config.parent / "home")
    with home.held(), pytest.raises(HomeHeldError, match="another cvat-bridge works in"):
        CliRunner().invoke(app, ["round", "-c", str(config)], catch_exceptions=False)

    assert not home.round_is_asked_for()


def test_the_loop_looks_when_it_is_asked_and_not_while_it_fails():
    asked = threading.Event()
    looks = []

    def tick():
        looks.append(asked.is_set())
        if asked.is_set():
            asked.clear()
        return TickResult(acted=False, reason="rests")

    loop = Loop(tick, 3600, asked.is_set)
    threading.Thread(target=loop.run, daemon=True).start()
    until = time.monotonic() + patience(60)
    while not looks and time.monotonic() < until:
        time.sleep(0.05)
    asked.set()
    while len(looks) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    loop.stop()

    assert looks[:2] == [False, True]
