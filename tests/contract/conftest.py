"""One suite, three servers, two roles: in memory, the sandbox, and with CVAT_URL a real CVAT.

CVAT_URL with CVAT_TOKEN, or CVAT_USER and CVAT_PASSWORD, or all of them (more is tried then).
CVAT_USER_TOKEN: of an ordinary user, for whom the suite runs once more. Both may write and create
projects; the first should be an administrator's, and is tested as an ordinary user's where it is
not. The head of pytest's report says against which versions the suite was run.
CVAT_CALLBACK_HOST: an address of this machine that the server can reach, for webhooks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cvat_bridge.sandbox import SandboxUser, running
from tests.contract.http_stage import HttpStage
from tests.contract.listener import Listener, listening
from tests.contract.stage import FakeStage, Stage

# Where the suite was last run in full. Between these and 2.80 the differences were read from the
# SDKs; docs/explanation/cvat-versions.md says which they are.
RAN_AGAINST = "the sandbox, which answers as CVAT 2.73.0 (recorded from a real one)"
SERVERS = [
    "memory",
    "sandbox",
    "sandbox-user",
    pytest.param("live", marks=pytest.mark.live),
    pytest.param("live-user", marks=pytest.mark.live),
]
ANNA = SandboxUser("anna", "anna-has-a-password")

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
    server, _, role = request.param.partition("-")
    yield from {"memory": _memory, "sandbox": _sandbox, "live": _live}[server](folder, role)


def pytest_report_header() -> str:
    """Return what the suite was run against, whoever reads its result."""
    return f"contract suite: last run against {RAN_AGAINST}"


def _memory(folder: Path, role: str) -> Iterator[Stage]:
    del folder, role
    yield FakeStage()


def _sandbox(folder: Path, role: str) -> Iterator[Stage]:
    share = folder / "share"
    share.mkdir()
    with (
        listening() as listener,
        running(
            folder / "sandbox", function_host=listener.url, share=share, users=[ANNA]
        ) as sandbox,
    ):
        who = ANNA if role else sandbox.admin
        stage = HttpStage(
            sandbox.url,
            folder / "cache",
            token=None if role else sandbox.admin_token,
            login=(who.username, who.password),
            share_dir=share,
            listener=listener,
            hosts_functions=True,
        )
        yield stage
        stage.close()


def _live(folder: Path, role: str) -> Iterator[Stage]:
    url = os.environ.get("CVAT_URL")
    token = os.environ.get("CVAT_USER_TOKEN" if role else "CVAT_TOKEN")
    user, password = os.environ.get("CVAT_USER"), os.environ.get("CVAT_PASSWORD")
    if role:
        user = password = None
        if not token:
            pytest.skip("no ordinary user of a real CVAT: set CVAT_URL and CVAT_USER_TOKEN")
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
    """Return a project with a label of every type that can be learned."""
    return stage.add_project(LABELS)
