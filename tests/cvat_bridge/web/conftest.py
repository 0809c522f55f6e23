"""One sandbox and one page for all tests of a module, one browser for all modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cvat_bridge.sandbox import Sandbox, SandboxUser, running
from tests.cvat_bridge.web.serving import Api, Served, browser_of, served

MANAGER = SandboxUser("mira", "mira-pass")
ANNOTATOR = SandboxUser("ann", "ann-pass")
OUTSIDER = SandboxUser("otto", "otto-pass")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("sandbox")
    with running(folder, users=[MANAGER, ANNOTATOR, OUTSIDER]) as found:
        yield found


@pytest.fixture(scope="module")
def project(sandbox: Sandbox) -> int:
    """A project of the manager's, without data."""
    api = Api(sandbox.url, MANAGER.username, MANAGER.password)
    labels = [{"name": "cell", "type": "rectangle"}]
    return int(api.send("POST", "/api/projects", name="Cells", labels=labels)["id"])


@pytest.fixture(scope="module")
def page(
    sandbox: Sandbox, project: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    with served(sandbox, tmp_path_factory.mktemp("home"), project) as found:
        yield found


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    with browser_of() as found:
        if found is None:
            pytest.skip("no Chromium, or no playwright, on this machine (apt install chromium)")
        yield found


@pytest.fixture
def tab(browser: Any) -> Iterator[Any]:
    """A fresh tab that has no cookie; requests to elsewhere than this machine fail the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    outside: list[str] = []
    context.on("request", lambda r: "//127.0.0.1:" in r.url or outside.append(r.url))
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    yield page
    context.close()
    assert outside == []
    assert faults == []


def sign_in(tab: Any, url: str, who: SandboxUser) -> None:
    """Sign in by user name and password."""
    tab.goto(f"{url}signin")
    tab.get_by_label("User name").fill(who.username)
    tab.get_by_label("Password").fill(who.password)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    tab.wait_for_url(lambda found: "signin" not in found)
