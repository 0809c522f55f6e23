"""A page over a sandbox, in a thread of the test: it can be restarted, and its clock moved."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import requests
import uvicorn
from prometheus_client import CollectorRegistry

from cvat_bridge.config import Config, Secrets
from cvat_bridge.loop.parts import Parts
from cvat_bridge.sandbox import Sandbox
from cvat_bridge.service.service import Loop, TickResult, make_app
from cvat_bridge.web.access.sessions import Sessions
from cvat_bridge.web.app import add_page
from cvat_bridge.web.page import Page, open_page
from cvat_bridge.web.sites import Sites

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
HOUR = 3600.0


@dataclass
class Clock:
    """A clock that a test can put forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Served:
    """A running page. restart: ends the process's state and begins anew over the same home."""

    sandbox: Sandbox
    config: Config
    home: Path
    clock: Clock = field(default_factory=Clock)
    port: int = 0

    def __post_init__(self) -> None:
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/learning/"

    def start(self) -> None:
        self._stack = ExitStack()
        secrets = Secrets.model_validate({"access_token": self.sandbox.admin_token})
        project = self.config.project_id
        self.loop = Loop(lambda: TickResult(acted=False, reason="finished jobs"), poll_seconds=60)
        self.loop.reason = "finished jobs: 0 of 20 new frames"
        sites = Sites(lambda: {project: self.config}, lambda: {project: self.loop}, secrets)
        self._stack.callback(sites.close)
        site = sites.get(project)
        assert site is not None
        self.parts: Parts = site.parts
        sessions = Sessions(self.parts.home.sessions, idle_seconds=HOUR, clock=self.clock)
        self._stack.callback(sessions.close)
        self.page: Page = open_page(self.config, sites, sessions, "learning_test")
        self._stack.callback(self.page.close)
        self.page.task_queue(site)
        web = make_app(dict, registry=CollectorRegistry(), secret="s", token="t")
        add_page(web, self.page)
        self._server = uvicorn.Server(
            uvicorn.Config(web, host="127.0.0.1", port=self.port, log_level="error")
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._stack.close()

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def served(sandbox: Sandbox, home: Path, project: int, **page: Any) -> Iterator[Served]:
    """Serve the page of a project of a sandbox."""
    cvat = {"url": sandbox.url, "project": project, "timeout": 30}
    config = Config.model_validate({"home": home, "cvat": cvat, "page": page})
    found = Served(sandbox, config, home)
    try:
        yield found
    finally:
        found.stop()


@contextmanager
def browser_of() -> Iterator[Any]:
    """Start a browser; gives None where there is none on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None or find_spec("playwright") is None:
        yield None
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def serious_faults(tab: Any) -> list[str]:
    """Return what axe-core finds serious or critical on the page of a tab, a line a rule."""
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    tab.evaluate(axe)
    found = tab.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


class Api:
    """CVAT as one person's script uses it."""

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url, self.session = url, requests.Session()
        self.session.auth = (username, password)

    def send(self, method: str, path: str, **body: Any) -> Any:
        answer = self.session.request(method, self.url + path, json=body or None, timeout=30)
        answer.raise_for_status()
        return answer.json() if answer.content else None
