"""One suite, three servers: in memory, the sandbox, and with CVAT_URL a real CVAT.

CVAT_URL with CVAT_TOKEN, or CVAT_USER and CVAT_PASSWORD, or all of them (more is tried then).
CVAT_CALLBACK_HOST: an address of this machine that the server can reach, for webhooks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvat_bridge.sandbox import running
from tests.contract.http_stage import HttpStage
from tests.contract.listener import Listener, listening
from tests.contract.stage import FakeStage, Stage

SERVERS = ["memory", "sandbox", pytest.param("live", marks=pytest.mark.live)]

LABELS = [
    {
        "name": "cell",
        "type": "rectangle",
        "attributes": [
            {
                "name": "confidence",
                "input_type": "number",
                "mutable": False,
                "default_value": "0",
                "values": ["0", "100", "1"],
            }
        ],
    },
    {"name": "ring", "type": "ellipse"},
    {"name": "nucleus", "type": "mask"},
    {"name": "tissue", "type": "polygon"},
    {"name": "anything", "type": "any"},
    {"name": "blurred", "type": "tag"},
]


@pytest.fixture(scope="session", params=SERVERS)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """Give a server to test on; what was made on it is taken away at the end."""
    folder = tmp_path_factory.mktemp(request.param)
    opened = {"memory": _memory, "sandbox": _sandbox, "live": _live}[request.param](folder)
    yield from opened


def _memory(folder: Path) -> Iterator[Stage]:
    del folder
    yield FakeStage()


def _sandbox(folder: Path) -> Iterator[Stage]:
    share = folder / "share"
    share.mkdir()
    with (
        listening() as listener,
        running(folder / "sandbox", function_host=listener.url, share=share) as sandbox,
    ):
        stage = HttpStage(
            sandbox.url,
            folder / "cache",
            token=sandbox.admin_token,
            login=(sandbox.admin.username, sandbox.admin.password),
            share_dir=share,
            listener=listener,
            hosts_functions=True,
        )
        yield stage
        stage.close()


def _live(folder: Path) -> Iterator[Stage]:
    url = os.environ.get("CVAT_URL")
    token = os.environ.get("CVAT_TOKEN")
    user, password = os.environ.get("CVAT_USER"), os.environ.get("CVAT_PASSWORD")
    if not url or not (token or (user and password)):
        pytest.skip("no real CVAT: set CVAT_URL, and CVAT_TOKEN or CVAT_USER and CVAT_PASSWORD")
    callback = os.environ.get("CVAT_CALLBACK_HOST")
    heard = _listening_at(callback) if callback else iter([None])
    listener = next(heard)
    stage = HttpStage(
        url,
        folder / "cache",
        token=token,
        login=(user, password) if user and password else None,
        listener=listener,
    )
    try:
        yield stage
    finally:
        stage.close()
        next(heard, None)


def _listening_at(host: str) -> Iterator[Listener]:
    with listening(host) as listener:
        yield listener


@pytest.fixture(scope="session")
def project_id(stage: Stage) -> int:
    """Give a project with a label of every type that can be learned."""
    return stage.add_project(LABELS)
