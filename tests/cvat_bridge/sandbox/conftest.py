"""A sandbox for a module of tests, and images to put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cvat_sdk.core.client import AccessTokenCredentials, Client, Config

from cvat_bridge.sandbox import Sandbox, SandboxUser, running
from tests.contract.host import Host, hosting
from tests.contract.pictures import picture

ANNOTATOR = SandboxUser("ann", "ann-pass")
NAMES = tuple(f"img{index}.jpg" for index in range(5))


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with hosting() as found:
        yield found


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory, host: Host) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running(folder, users=[ANNOTATOR], function_host=host.url) as found:
        yield found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("images")
    for name in NAMES:
        folder.joinpath(name).write_bytes(picture(name, (64, 48)))
    return tuple(folder / name for name in NAMES)


def connected(sandbox: Sandbox) -> Client:
    """Sign in as the admin with the access token, polling often."""
    client = Client(sandbox.url, config=Config(status_check_period=0.1), check_server_version=True)
    client.login(AccessTokenCredentials(sandbox.admin_token))
    client.organization_slug = ""
    return client


@pytest.fixture(scope="module")
def client(sandbox: Sandbox) -> Iterator[Client]:
    with connected(sandbox) as found:
        yield found
