from __future__ import annotations

import itertools

import pytest

from cvat_bridge.home import Home
from cvat_bridge.ledger import Ledger
from tests.fakes.server import FakeServer


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def ledger(home):
    with Ledger(home.ledger) as opened:
        yield opened


@pytest.fixture
def now():
    """A clock whose every reading differs, so that a test sees what was written again."""
    ticks = itertools.count()
    return lambda: f"2026-02-01T00:00:{next(ticks):02}"
