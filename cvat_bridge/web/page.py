"""What every route of the page stands on."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cvat_bridge.blindspots.tasks import create_task
from cvat_bridge.blindspots.types import TaskRequest, to_json
from cvat_bridge.config import Config
from cvat_bridge.cvat.person import PersonalCvat
from cvat_bridge.errors import BridgeError
from cvat_bridge.progress import Report
from cvat_bridge.web.access.attempts import Attempts
from cvat_bridge.web.access.guard import MAX_BODY, Guard
from cvat_bridge.web.access.rights import Rights
from cvat_bridge.web.access.sessions import Session, Sessions
from cvat_bridge.web.background.work import work_of
from cvat_bridge.web.background.work_queue import WorkQueue
from cvat_bridge.web.long_work.desk import Desk, Desks
from cvat_bridge.web.sites import Site, Sites
from cvat_bridge.web.task_queue import TaskQueue

_MOST_NOTICES = 10_000
_UPLOAD = re.compile(r"(/api)?/projects/\d+/models/upload")
_OPENING = threading.Lock()

REASONS = {
    "": "Sign in first.",
    "ended": "Your session has ended. Sign in again, and you come back to where you were.",
    "changed": "You signed out of CVAT, or in as somebody else, so you were signed out here too.",
    "token": "CVAT does not know this access token (any more).",
}


class SignInNeededError(BridgeError):
    """Nobody is signed in, or no more. reason: a key of REASONS."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason
        super().__init__(REASONS[reason])


class RefusedError(BridgeError):
    """A request that is not answered. status: of HTTP. mend: what a person can do about it."""

    def __init__(self, status: int, words: str, mend: str = "") -> None:
        self.status, self.words, self.mend = status, words, mend
        super().__init__(f"{words} {mend}".rstrip())


@dataclass(frozen=True)
class Page:
    """The joined parts of the page. prefix: path below which it lies, "" for the root."""

    config: Config
    sites: Sites
    sessions: Sessions
    cvat: PersonalCvat
    rights: Rights
    guard: Guard
    attempts: Attempts
    cookie: str
    making: dict[int, TaskQueue] = field(default_factory=dict)  # by project
    doing: dict[int, WorkQueue] = field(default_factory=dict)  # by project
    desks: Desks = field(default_factory=Desks)
    notices: dict[str, str] = field(default_factory=dict)  # by session: shown once

    @property
    def prefix(self) -> str:
        """The path below which the page lies."""
        return self.config.page.prefix

    def at(self, path: str) -> str:
        """Return the address of something on the page. path: begins with a slash."""
        return self.prefix + path

    def task_queue(self, site: Site) -> TaskQueue:
        """Return the requests of a project, opened at first use."""
        with _OPENING:
            if site.id not in self.making:
                found = TaskQueue(site.parts.home.errands, partial(_make, site))
                found.resume()
                self.making[site.id] = found
            return self.making[site.id]

    def work_queue(self, site: Site) -> WorkQueue:
        """Return the work in the background of a project, opened at first use."""
        with _OPENING:
            if site.id not in self.doing:
                found = WorkQueue(site.parts.home.root / "work", work_of(lambda: site.parts))
                found.resume()
                self.doing[site.id] = found
            return self.doing[site.id]

    def desk(self, site: Site) -> Desk:
        """Return the long work of a project."""
        return self.desks.of(site)

    def close(self) -> None:
        """Begin nothing more."""
        self.desks.close()
        for requests in self.making.values():
            requests.close()
        for work in self.doing.values():
            work.close()

    def notify(self, session: Session, words: str) -> None:
        """Keep a sentence for this person's next screen."""
        if len(self.notices) > _MOST_NOTICES:
            self.notices.clear()
        self.notices[session.secret] = words

    def largest_body(self, path: str) -> int:
        """Return how many bytes a request to a path may have: a file's where one is sent."""
        if _UPLOAD.fullmatch(path.removeprefix(self.prefix)):
            return int(self.config.page.upload_gb * 1e9)
        return MAX_BODY

    def own_path(self, path: str | None) -> str:
        """Return a path to go on with after signing in: one of ours, else the first screen."""
        first = self.at("/")
        if not path or not path.startswith(first) or path.startswith(("//", "/\\")):
            return first
        parts = urlsplit(path)
        bad = parts.scheme or parts.netloc or "\\" in path or any(ord(c) < 32 for c in path)
        return first if bad or parts.path.startswith(self.at("/sign")) else path


def _make(site: Site, request: TaskRequest, report: Report) -> Mapping[str, Any]:
    """Make a task that a person asked for; CreatedTask as JSON."""
    made = create_task(replace(site.parts, report=report), request)
    found: Mapping[str, Any] = to_json(made)
    return found


def open_page(config: Config, sites: Sites, sessions: Sessions, cookie: str) -> Page:
    """Join the page's parts."""
    cvat = PersonalCvat(config.cvat.url, ca_bundle=config.cvat.ca_bundle)
    return Page(
        config=config,
        sites=sites,
        sessions=sessions,
        cvat=cvat,
        rights=Rights(cvat, time.monotonic),
        guard=Guard(config.page.public_url, config.service.host),
        attempts=Attempts(time.monotonic),
        cookie=cookie,
    )
