"""Flags that one process raises and another, perhaps elsewhere, sees: stop, begin a round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from cvat_bridge.database.engine import Database
from cvat_bridge.database.service_tables import flags as table
from cvat_bridge.database.types import database_now


@dataclass(frozen=True)
class Flag:
    """A raised flag. about: what was said with it. since: seconds since 1970, database's clock."""

    name: str
    about: Mapping[str, Any]
    since: float


class Flags:
    """The flags of a service's database (see place.service_place). Raises LedgerError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def raise_(self, name: str, about: Mapping[str, Any] | None = None) -> None:
        """Raise a flag; one that is raised already stays as it is."""

        def work(connection: Connection) -> None:
            if connection.execute(select(table.c.name).where(table.c.name == name)).first() is None:
                row = {"name": name, "about": dict(about or {}), "since": database_now()}
                connection.execute(insert(table).values(**row))

        self._database.write(work)

    def of(self, name: str) -> Flag | None:
        """Return a flag, None where it is not raised."""
        rows = self._database.read(select(table).where(table.c.name == name))
        return Flag(rows[0].name, rows[0].about, rows[0].since) if rows else None

    def lower(self, name: str) -> bool:
        """Take a flag down; return whether it was raised. Of several who ask, one is told so."""
        gone = delete(table).where(table.c.name == name)
        return self._database.write(lambda connection: connection.execute(gone).rowcount > 0)
