"""`cvat-bridge init`: nothing is written before CVAT has shown the project."""

from __future__ import annotations

import socket
import time

import pytest
from cvat_sdk import Client
from cvat_sdk.core.client import AccessTokenCredentials

from cvat_bridge.cli.setup import listening, set_up, split_project_url
from cvat_bridge.config import load_config
from cvat_bridge.cvat.reachability import check_reachable
from cvat_bridge.errors import AuthenticationError, ConfigError, NotFoundError, UnreachableError
from cvat_bridge.sandbox import running
from tests.patience import patience


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("sandbox")) as one:
        client = Client(one.url)
        client.login(AccessTokenCredentials(one.admin_token))
        with client:
            client.projects.create({"name": "cells", "labels": [{"name": "cell"}]})
        yield one


@pytest.fixture
def path(tmp_path, server, monkeypatch):
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", server.admin_token)
    return tmp_path / "cvat-bridge.yaml"


def init(path, url, **more):
    given = {"project": None, "public_url": None, "organization": None, "force": False}
    return list(set_up(path, url=url, dry_run=False, **{**given, **more}))


def test_the_address_of_the_projects_page_is_enough(path, server):
    lines = init(path, f"{server.url}/projects/1?page=1")

    config = load_config(path)
    assert (config.cvat.url, config.cvat.project) == (server.url, 1)
    assert any("'cells' is there" in line for line in lines)


def test_a_time_limit_for_a_first_look_stands_in_the_file(path, server):
    init(path, server.url, project=1, time_limit=60)

    assert load_config(path).trainer.time_limit == 60
    assert "time_limit: 60 " in path.read_text()
    with pytest.raises(ConfigError, match="--time-limit: 0 must be greater"):
        init(path, server.url, project=1, time_limit=0, force=True)


def test_without_a_project_those_that_the_token_sees_are_named(path, server):
    with pytest.raises(ConfigError, match="1 cells"):
        init(path, server.url)

    assert not path.exists()


def test_a_project_that_is_not_there_leaves_no_file(path, server):
    with pytest.raises(NotFoundError):
        init(path, server.url, project=77)

    assert not path.exists()


def test_a_wrong_token_leaves_no_file(path, server, monkeypatch):
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", "wrong")
    with pytest.raises(AuthenticationError):
        init(path, server.url, project=1)

    assert not path.exists()


def test_a_dead_address_is_known_within_seconds_and_leaves_no_file(path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        began = time.monotonic()
        with pytest.raises(UnreachableError, match="is CVAT up"):
            init(path, f"http://127.0.0.1:{taken.getsockname()[1]}", project=1)

    assert time.monotonic() - began < patience(5)
    assert not path.exists()


def test_a_server_that_accepts_and_stays_silent_is_not_called_dead():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        check_reachable(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_bridge_that_is_reached_from_outside_listens_there(path, server):
    init(path, server.url, project=1, public_url="http://bridge.internal:9191")

    service = load_config(path).service
    assert (service.host, service.port, service.listen_anyway) == ("0.0.0.0", 9191, True)  # noqa: S104


@pytest.mark.parametrize(
    ("public_url", "expected"),
    [
        (None, ("127.0.0.1", 8091)),
        ("http://127.0.0.1:7000", ("127.0.0.1", 7000)),
        ("https://cvat.example.org/bridge", ("0.0.0.0", 8091)),  # noqa: S104
    ],
)
def test_where_the_service_listens(public_url, expected):
    assert listening(public_url) == expected


@pytest.mark.parametrize(
    ("pasted", "expected"),
    [
        ("https://cvat.example.org/projects/12", ("https://cvat.example.org", 12)),
        ("https://h:8080/sub/projects/3/tasks?page=2", ("https://h:8080/sub", 3)),
        ("https://h/projects?page=1", ("https://h/projects?page=1", None)),
        ("http://h/", ("http://h", None)),
    ],
)
def test_a_pasted_address(pasted, expected):
    assert split_project_url(pasted) == expected
