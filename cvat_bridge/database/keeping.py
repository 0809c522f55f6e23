"""A lease held while a process works: renewed in the background, and known to be lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from sqlalchemy import Connection
from typing_extensions import Self

from cvat_bridge.database.leases import Lease, Leases, check
from cvat_bridge.errors import LeaseLostError, LedgerError

log = structlog.get_logger("lease")


class KeptLease:
    """Renews a lease three times in its life, until it is closed or lost.

    lease: just acquired. seconds: how long it holds without being renewed. on_loss: called once,
    from the thread that renews, when somebody else has it.
    """

    def __init__(
        self,
        leases: Leases,
        lease: Lease,
        *,
        seconds: float,
        on_loss: Callable[[LeaseLostError], None] = lambda _error: None,
    ) -> None:
        self._on_loss = on_loss
        self._leases, self._lease, self._seconds = leases, lease, seconds
        self._known_until = _since_boot() + max(0.0, lease.left)
        self._about: Mapping[str, Any] | None = None
        self._lost: LeaseLostError | None = None
        self._ended, self._told = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def lease(self) -> Lease:
        """The lease as it was last renewed."""
        return self._lease

    def about(self, about: Mapping[str, Any]) -> None:
        """Say something else of the holder; it stands in the database soon."""
        self._about = about
        self._told.set()

    def check(self) -> None:
        """Raise LeaseLostError where the lease is lost; asks the database where it is late.

        `fence` is what a write needs. Raises LedgerError where the database cannot be asked.
        """
        if self._lost is None and _since_boot() > self._known_until:
            self._renew()
        if self._lost is not None:
            raise self._lost

    def fence(self, connection: Connection) -> None:
        """Raise LeaseLostError within a transaction whose writes the lease does not allow."""
        if self._lost is not None:
            raise self._lost
        check(connection, self._lease)

    def close(self) -> None:
        """Give the lease back; without a database it ends by itself."""
        self._ended.set()
        self._told.set()
        self._thread.join()
        if self._lost is None:
            try:
                self._leases.release(self._lease)
            except LedgerError as error:
                log.warning("the lease ends by itself", lease=self._lease.name, why=str(error))

    def _keep(self) -> None:
        while not self._ended.is_set():
            self._told.wait(self._seconds / 3)
            self._told.clear()
            if self._ended.is_set():
                return
            try:
                self._renew()
            except LedgerError as error:
                log.warning("the lease could not be renewed", why=str(error))
            if self._lost is not None:
                self._on_loss(self._lost)
                return

    def _renew(self) -> None:
        began = _since_boot()
        try:
            self._lease = self._leases.renew(self._lease, seconds=self._seconds, about=self._about)
        except LeaseLostError as error:
            self._lost = error
            log.warning("the lease is lost", why=str(error))
        else:
            self._known_until = began + self._seconds


def _since_boot() -> float:
    """Return seconds by a clock that nobody sets and that goes on while the machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
