"""What CVAT lets a person see and change, asked again every five minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from cvat_bridge.cvat.person import PersonalCvat, SeenProject
from cvat_bridge.errors import NotFoundError
from cvat_bridge.web.access.sessions import Session

FRESH_SECONDS = 300.0
_MOST = 4096  # answers remembered


@dataclass(frozen=True)
class _Known:
    at: float
    project: SeenProject | None


class Rights:
    """Remembers what CVAT said for five minutes. clock: seconds, rising."""

    def __init__(self, cvat: PersonalCvat, clock: Callable[[], float]) -> None:
        self._cvat, self._clock, self._lock = cvat, clock, threading.Lock()
        self._known: dict[tuple[str, int], _Known] = {}
        self._lists: dict[str, tuple[float, tuple[SeenProject, ...]]] = {}

    def project(self, session: Session, project_id: int) -> SeenProject:
        """Return a project as this person sees it.

        Raises NotFoundError where they do not, AuthenticationError when CVAT knows them no more,
        and other GatewayErrors when CVAT does not say: then nobody is let in.
        """
        place = (session.secret, project_id)
        known = self._known.get(place)
        if known is None or self._clock() - known.at >= FRESH_SECONDS:
            person = self._cvat.who(session.credentials)
            try:
                seen = self._cvat.project(session.credentials, person, project_id)
            except NotFoundError:
                seen = None
            known = _Known(self._clock(), seen)
            with self._lock:
                if len(self._known) >= _MOST:
                    self._known.clear()
                self._known[place] = known
        if known.project is None:
            raise NotFoundError(
                "read", f"project {project_id}", 404, "CVAT does not show it to you"
            )
        return known.project

    def projects(self, session: Session) -> tuple[SeenProject, ...]:
        """Return every project that CVAT shows this person; raises as `project` does."""
        known = self._lists.get(session.secret)
        if known is None or self._clock() - known[0] >= FRESH_SECONDS / 10:
            person = self._cvat.who(session.credentials)
            known = (self._clock(), self._cvat.projects(session.credentials, person))
            with self._lock:
                if len(self._lists) >= _MOST:
                    self._lists.clear()
                self._lists[session.secret] = known
        return known[1]

    def forget(self, session: Session) -> None:
        """Ask CVAT anew at the next question about this person."""
        with self._lock:
            self._lists.pop(session.secret, None)
            for place in [one for one in self._known if one[0] == session.secret]:
                del self._known[place]
