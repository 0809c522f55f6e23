"""Leases: who leads, which workers live, and who may write, by the database's clock alone.

A lease is a row with a name, held for some seconds and renewed while its holder works. Each
acquisition gets a token that is higher than every one before it (a fencing token: Kleppmann,
"How to do distributed locking", 2016). A process that was stopped
for longer than its lease, and whose lease was taken meanwhile, finds its token gone: `check`,
within the transaction of a write, lets no such write happen. While that transaction is open the
lease cannot pass on, so there is no moment between the look and the write.

    leases = Leases(Database(service_place(...)))
    lease = leases.acquire("leader", "host-a:4711", seconds=30)      # None: somebody holds it
    lease = leases.renew(lease, seconds=30)                           # LeaseLostError: stop working
    database.write(lambda connection: (check(connection, lease), connection.execute(...)))
    leases.release(lease)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, insert, select, update

from cvat_bridge.database.engine import Database
from cvat_bridge.database.service_tables import leases as table
from cvat_bridge.database.service_tables import tokens
from cvat_bridge.database.types import database_now
from cvat_bridge.errors import LeaseLostError


@dataclass(frozen=True)
class Lease:
    """A lease as it stood when it was read.

    token: higher than that of every lease given before. about: what its holder says of itself, as
    JSON. since, renewed, expires: seconds since 1970 by the database's clock. left: seconds until
    it expires, negative once it has.
    """

    name: str
    holder: str
    token: int
    since: float
    renewed: float
    expires: float
    left: float
    about: Mapping[str, Any] = field(default_factory=dict)


class Leases:
    """The leases of a service's database (see place.service_place). Raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(
        self, name: str, holder: str, *, seconds: float, about: Mapping[str, Any] | None = None
    ) -> Lease | None:
        """Take a lease that is free, has expired, or is this holder's own; else return None.

        A holder that takes its own anew gets a new token: what it was before may not write on.
        So the name of a holder must belong to one process at a time.
        """

        def work(connection: Connection) -> Lease | None:
            found = _one(connection, name)
            if found is not None and found.left > 0 and found.holder != holder:
                return None
            connection.execute(update(tokens).values(last=tokens.c.last + 1))
            now = database_now()
            row = {
                "holder": holder,
                "token": connection.execute(select(tokens.c.last)).scalar_one(),
                "about": dict(about or {}),
                "since": now,
                "renewed": now,
                "expires": now + seconds,
            }
            if found is None:
                connection.execute(insert(table).values(name=name, **row))
            else:
                connection.execute(update(table).where(table.c.name == name).values(**row))
            return _one(connection, name)

        return self._database.write(work)

    def renew(
        self, lease: Lease, *, seconds: float, about: Mapping[str, Any] | None = None
    ) -> Lease:
        """Hold a lease for so many seconds from now; about: what to say of it instead.

        One that has expired is held again where nobody has taken it. Raises LeaseLostError.
        """

        def work(connection: Connection) -> Lease:
            now = database_now()
            row: dict[str, Any] = {"renewed": now, "expires": now + seconds}
            if about is not None:
                row["about"] = dict(about)
            mine = (table.c.name == lease.name) & (table.c.token == lease.token)
            if not connection.execute(update(table).where(mine).values(**row)).rowcount:
                raise _lost(lease, _one(connection, lease.name))
            found = _one(connection, lease.name)
            assert found is not None  # noqa: S101 written above
            return found

        return self._database.write(work)

    def release(self, lease: Lease) -> None:
        """Give a lease back; nothing happens where it is somebody else's by now."""
        mine = (table.c.name == lease.name) & (table.c.token == lease.token)
        self._database.write(lambda connection: connection.execute(delete(table).where(mine)))

    def evict(self, lease: Lease) -> bool:
        """End a lease that has expired, so that its holder can neither renew it nor write.

        Returns whether it ended now: False where it was renewed meanwhile, passed on or is gone.
        What its holder was at may be handed on only after True.
        """
        stale = (
            (table.c.name == lease.name)
            & (table.c.token == lease.token)
            & (table.c.expires <= database_now())
        )
        return self._database.write(
            lambda connection: connection.execute(delete(table).where(stale)).rowcount > 0
        )

    def of(self, name: str) -> Lease | None:
        """Return the lease of a name, expired or not; None where there is none."""
        rows = self._database.read(_query().where(table.c.name == name))
        return _lease(rows[0]) if rows else None

    def held(self, prefix: str = "") -> tuple[Lease, ...]:
        """Return the leases that hold, by name; prefix: how their names begin."""
        return tuple(row for row in self._all(prefix) if row.left > 0)

    def expired(self, prefix: str = "") -> tuple[Lease, ...]:
        """Return those that were neither renewed nor given back in time, by name."""
        return tuple(row for row in self._all(prefix) if row.left <= 0)

    def _all(self, prefix: str) -> Sequence[Lease]:
        rows = self._database.read(_query().order_by(table.c.name))
        return [row for row in map(_lease, rows) if row.name.startswith(prefix)]


def check(connection: Connection, lease: Lease) -> None:
    """Raise LeaseLostError where a lease was taken or ended; else nobody takes it until the commit.

    One that has run out, and that nobody has taken or evicted, still allows the write: its holder
    is late, and nobody has written in its place.
    connection: of the transaction whose writes the lease allows; of a project's place with the
    service's beside it, or of the service's own.
    """
    query = _query().where(table.c.name == lease.name).with_for_update(read=True)
    rows = connection.execute(query).all()
    found = _lease(rows[0]) if rows else None
    if found is None or found.token != lease.token:
        raise _lost(lease, found)


def _query() -> Select[Any]:
    return select(table, (table.c.expires - database_now()).label("left"))


def _one(connection: Connection, name: str) -> Lease | None:
    row = connection.execute(_query().where(table.c.name == name)).first()
    return None if row is None else _lease(row)


def _lease(row: Row[Any]) -> Lease:
    return Lease(
        row.name,
        row.holder,
        row.token,
        since=row.since,
        renewed=row.renewed,
        expires=row.expires,
        left=row.left,
        about=row.about,
    )


def _lost(lease: Lease, found: Lease | None) -> LeaseLostError:
    if found is None:
        what = "it was given back, or ended because it was not renewed in time"
    else:
        what = f"{found.holder} holds it now"
    return LeaseLostError(
        f"the lease {lease.name!r} of {lease.holder} does not hold any more: {what}. Nothing was "
        "written"
    )
