"""The longest file begins first, so that it doesn't run alone at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from cvat_bridge.database.engine import close_servers
from tests import postgres
from tests.fakes.seaweed import S3Server, s3_server

# The same examples on every machine: a change is blamed for what it broke, not for its luck.
# `HYPOTHESIS_PROFILE=search pytest …` looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

LONGEST = ("test_killed.py", "test_yolo.py", "test_recordings.py", "test_cli.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order files by how long they take, and keep the order inside them."""
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.PostgresServer]:
    """One real server for the whole session."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def database_url(postgresql: postgres.PostgresServer) -> Iterator[str]:
    """The address of an empty database on it."""
    name = postgresql.new_database()
    yield postgresql.url(name)
    close_servers()
    postgresql.drop(name)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server, started once for all tests that ask for it."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
