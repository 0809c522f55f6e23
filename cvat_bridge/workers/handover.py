"""The work of a worker that died is handed on, by whichever worker sees it first.

DBOS itself does not notice that a process is gone: its work would stay under way for ever.
"""

from __future__ import annotations

import threading

import structlog
from dbos import DBOS

from cvat_bridge.database.leases import Leases
from cvat_bridge.errors import LedgerError
from cvat_bridge.queues.names import WORKER

log = structlog.get_logger("work")


def hand_on(leases: Leases, own: str) -> tuple[str, ...]:
    """Put back into the queues what was under way at workers that are gone; return their names.

    A worker is gone when its lease ran out and was ended: then it can no longer renew it. Also
    handed on is what belongs to nobody: whoever ended that lease may have died just then. own: the
    name of this worker. Raises LedgerError.
    """
    for lease in leases.expired(WORKER):
        if leases.evict(lease):
            log.warning("a worker is gone", worker=lease.name.removeprefix(WORKER))
    there = {lease.name.removeprefix(WORKER) for lease in leases.held(WORKER)} | {own}
    left = {row.executor_id for row in DBOS.list_workflows(status="PENDING")} - there
    # Asked again: one that began after `there` was read has its lease before any work.
    gone = sorted(name for name in left if name and leases.of(WORKER + name) is None)
    if gone:
        handles = DBOS._recover_pending_workflows(gone)  # noqa: SLF001 the only way, see pyproject
        log.warning("work was handed on", workers=gone, pieces=[h.workflow_id for h in handles])
    return tuple(gone)


def keep_handing_on(leases: Leases, own: str, *, every: float, ended: threading.Event) -> None:
    """Look every so many seconds until `ended`; a database that is away is asked again."""
    while not ended.wait(every):
        try:
            hand_on(leases, own)
        except LedgerError as error:
            log.warning("whether workers are gone cannot be seen", why=str(error))
