"""One bridge a project: a lease in the project's own CVAT, renewed while the bridge works.

Ages are differences of two dates that CVAT gave, so that no clock of ours counts.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import datetime

import structlog

from cvat_bridge.cvat.gateway import Gateway, Lease
from cvat_bridge.errors import AuthenticationError, GatewayError, NotFoundError, ProjectTakenError

RENEWED_EVERY = 120.0  # seconds
STALE_AFTER = 600.0  # seconds without a sign of life
log = structlog.get_logger("service")


class ProjectLease:
    """The lease of one bridge on one project.

    holder: the identity of its home, in hex digits: a bridge that starts again on the same home is
    the same holder. description: where it runs, for people.
    """

    def __init__(
        self,
        gateway: Gateway,
        project_id: int,
        *,
        holder: str,
        description: str,
        renewed_every: float = RENEWED_EVERY,
    ) -> None:
        self._gateway, self._project_id, self._holder = gateway, project_id, holder
        self._description, self._period = description, renewed_every
        self._mine: Lease | None = None
        self._lost: ProjectTakenError | None = None
        self._ended = threading.Event()
        self._renewer: threading.Thread | None = None

    def take(self) -> None:
        """Take the project for this bridge, and keep it; a second call changes nothing.

        A lease that shows no sign of life any more is taken over, and said so. An account that may
        not keep webhooks in the project works without a lease, and is told. Raises
        ProjectTakenError when another bridge is at work, GatewayError.
        """
        if self._renewer is not None:
            return
        try:
            self._mine = self._acquire()
        except AuthenticationError as error:
            log.warning("no lease: a second bridge would not be seen", why=str(error))
        self._renewer = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._renewer.start()

    def check(self) -> None:
        """Raise ProjectTakenError when another bridge took the project from this one."""
        if self._lost is not None:
            raise self._lost

    def release(self) -> None:
        """Give the project back; without CVAT the lease ends by itself."""
        self._ended.set()
        if self._renewer is not None:
            self._renewer.join()
        if self._mine is not None:
            with suppress(GatewayError):
                self._gateway.drop_lease(self._mine)
            self._mine = None

    def renew(self) -> None:
        """Give a sign of life; one that cannot be given now is given the next time."""
        if self._mine is None or self._lost is not None:
            return
        try:
            self._mine = self._gateway.renew_lease(self._mine)
        except NotFoundError:
            self._taken_away(self._mine)
        except GatewayError as error:
            log.warning("the lease of the project could not be renewed", why=str(error))

    def _keep(self) -> None:
        while not self._ended.wait(self._period):
            try:
                self.renew()
            except GatewayError as error:
                log.warning("the lease of the project could not be looked at", why=str(error))

    def _taken_away(self, gone: Lease) -> None:
        rows = self._gateway.leases(self._project_id)
        copy = next((r for r in rows if r.holder == self._holder and r.id > gone.id), None)
        if copy is not None:
            self._lost = ProjectTakenError(
                f"project {self._project_id}: a bridge with a copy of this home began to work on it"
                f" ({copy.description}, {copy.renewed} by CVAT's clock). Stop one of the two:"
                " a home is for one bridge. Then start the other one again"
            )
            return
        try:
            self._mine = self._acquire()
        except ProjectTakenError as taken:
            self._lost = taken

    def _acquire(self) -> Lease:
        mine = self._gateway.take_lease(self._project_id, self._holder, self._description)
        rows = self._gateway.leases(self._project_id)
        others = [row for row in rows if row.id != mine.id]
        silent = {row.id: _seconds(row.renewed, mine.renewed) for row in others}
        for row in others:
            if row.holder == self._holder:
                self._gateway.drop_lease(row)  # of an earlier start on this home
            elif silent[row.id] >= STALE_AFTER:
                log.warning(
                    "took the project over from a bridge that gives no sign of life",
                    bridge=row.description,
                    last_sign=row.renewed,
                )
                self._gateway.drop_lease(row)
        # Who came first stays; of two that start at once, one.
        alive = [
            row
            for row in others
            if row.holder != self._holder and silent[row.id] < STALE_AFTER and row.id < mine.id
        ]
        if alive:
            self._gateway.drop_lease(mine)
            raise ProjectTakenError(_refusal(self._project_id, alive[0], silent[alive[0].id]))
        return mine


def _refusal(project_id: int, other: Lease, silent: float) -> str:
    left = max(1, round((STALE_AFTER - silent) / 60))
    return (
        f"project {project_id}: another bridge works on it: {other.description}; its last sign of "
        f"life was {max(0, round(silent))} s ago ({other.renewed} by CVAT's clock). Two would hand "
        "out work twice. Stop that one, or leave the project to it. If it is gone for good, this "
        f"one may start in {left} min, or once the inactive webhook {other.id} is deleted in CVAT "
        "(project, Actions, Setup webhooks)"
    )


def _seconds(earlier: str, later: str) -> float:
    first, last = (datetime.fromisoformat(text) for text in (earlier, later))
    return (last - first).total_seconds()
