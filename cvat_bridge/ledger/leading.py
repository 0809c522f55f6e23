"""Who leads: of all services and commands on one database, one works on its projects at a time.

The lease stands in the database (see database.leases), so it holds between machines. What it
protects checks it in the transaction of each write.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy import Connection, insert, select

from cvat_bridge.config import Config
from cvat_bridge.database.engine import Database
from cvat_bridge.database.flags import Flags
from cvat_bridge.database.keeping import KeptLease
from cvat_bridge.database.leases import Lease, Leases
from cvat_bridge.database.place import is_server
from cvat_bridge.database.service_tables import identity
from cvat_bridge.errors import DatabaseAwayError, HomeHeldError, LeaseLostError
from cvat_bridge.home import Home
from cvat_bridge.ledger.opening import service_place_of

LEADER = "leader"
LEASE_SECONDS = 30.0
_LOOK_SECONDS = 1.0
log = structlog.get_logger("service")


@contextmanager
def tried_to_lead(
    config: Config, *, by: str, on_loss: Callable[[LeaseLostError], None] = lambda _error: None
) -> Iterator[KeptLease | None]:
    """Lead on the database of a configuration; None while another process does.

    by: "service" or "command". on_loss: see KeptLease. Raises LedgerError.
    """
    with _service(config) as database:
        leases = Leases(database)
        about = {"by": by, "place": Home.of(config).place}
        lease = leases.acquire(LEADER, _holder(config), seconds=LEASE_SECONDS, about=about)
        if lease is None:
            yield None
            return
        with KeptLease(leases, lease, seconds=LEASE_SECONDS, on_loss=on_loss) as kept:
            yield kept


@contextmanager
def leading(config: Config, *, by: str) -> Iterator[KeptLease]:
    """Lead on the database of a configuration. Raises HomeHeldError while another process does."""
    with tried_to_lead(config, by=by) as kept:
        if kept is None:
            raise _led(leader_of(config))
        yield kept


def wait_to_lead(
    config: Config,
    *,
    ended: threading.Event,
    waiting: Callable[[Lease], None] = lambda _leader: None,
) -> bool:
    """Wait while another process leads; return whether nobody does, False where `ended` was set.

    waiting: told once of each leader that is waited for. A database that does not answer is asked
    again.
    """
    told = 0
    with _service(config) as database:
        leases = Leases(database)
        while not ended.is_set():
            try:
                leader = leases.of(LEADER)
            except DatabaseAwayError as error:
                log.warning("waiting for the database", why=str(error))
            else:
                if leader is None or leader.left <= 0 or leader.holder == _holder(config):
                    return True
                if leader.token != told:
                    told = leader.token
                    waiting(leader)
            ended.wait(_LOOK_SECONDS)
    return False


def leader_of(config: Config) -> Lease | None:
    """Return who leads now, None where nobody does. Raises LedgerError."""
    with _service(config) as database:
        found = Leases(database).of(LEADER)
        return found if found is not None and found.left > 0 else None


def bridge_identity(config: Config) -> str:
    """Return the hex digits that tell the bridge of this home, or of this database, from any other.

    All services on one database are one bridge to CVAT. Raises LedgerError.
    """
    if not is_server(config.database_url):
        return Home.of(config).identity()

    def work(connection: Connection) -> str:
        found = connection.execute(select(identity.c.id)).scalar()
        if found is None:
            found = secrets.token_hex(8)
            connection.execute(insert(identity), {"id": found})
        return str(found)

    with _service(config) as database:
        rows = database.read(select(identity.c.id))
        return str(rows[0].id) if rows else database.write(work)


def ask_for_round(config: Config) -> None:
    """Leave word for the service that works on this project to begin a round, due or not."""
    if not is_server(config.database_url):
        Home.of(config).ask_for_round()
        return
    with _service(config) as database:
        Flags(database).raise_(_asked(config))


def round_is_asked_for(config: Config) -> bool:
    """Whether somebody has asked for a round since the last one began."""
    if Home.of(config).round_is_asked_for():
        return True
    if not is_server(config.database_url):
        return False
    with _service(config) as database:
        return Flags(database).of(_asked(config)) is not None


def take_request(config: Config) -> bool:
    """Return whether a round was asked for, and forget it."""
    there = Home.of(config).take_request()
    if is_server(config.database_url):
        with _service(config) as database:
            there = Flags(database).lower(_asked(config)) or there
    return there


def _asked(config: Config) -> str:
    return f"round/project-{config.project_id}"


@contextmanager
def _service(config: Config) -> Iterator[Database]:
    database = Database(service_place_of(config))
    try:
        yield database
    finally:
        database.close()


_OWN = f"{platform.node()}:{os.getpid()}:{secrets.token_hex(4)}"


def _holder(config: Config) -> str:
    """Name this process. In home, whoever holds the folder's lock is its only one."""
    return _OWN if is_server(config.database_url) else Home.of(config).identity()


def place_of(leader: Lease | None) -> str:
    """Return where a leader works."""
    return "elsewhere" if leader is None else str(leader.about.get("place", leader.holder))


def _led(leader: Lease | None) -> HomeHeldError:
    about = {} if leader is None else leader.about
    return HomeHeldError(f"this database, {place_of(leader)}", by=str(about.get("by", "")))
