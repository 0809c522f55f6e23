"""Which version of our tables a database has, and how it gets the newest one.

Tables that are not there yet are made as they are today; older ones are brought up to date by
Alembic, whose migrations stand in `migrations/`. A file also carries its number as SQLite's
user_version, as files of version 0.1 do, which knew no Alembic.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, insert, select, text, update

from cvat_bridge.database.place import Kind, Place
from cvat_bridge.errors import LedgerError

# The newest version of each kind of place: the last migration in migrations/<kind>/.
NEWEST: Mapping[Kind, int] = {"project": 4, "service": 1}
MIGRATIONS = Path(__file__).parent / "migrations"
_VERSIONS = "alembic_version"


def is_current(connection: Connection, place: Place) -> bool:
    """Whether a file has the newest tables. Raises LedgerError for those of a later program."""
    return _found(connection, place) == str(NEWEST[place.kind]) and _stamped(connection, place)


def prepare(connection: Connection, place: Place) -> None:
    """Make the tables, or bring them up to date, in a transaction in which nobody else does.

    Raises LedgerError for those of a later program.
    """
    newest = str(NEWEST[place.kind])
    if place.schema:
        _make_schema(connection, place.schema)
    found = _found(connection, place)
    if not found:
        _make(connection, place)
    elif not _stamped(connection, place):
        _stamp(connection, place, found)
    if found and found != newest:
        _migrate(connection, place, found)
    if place.file is not None:
        connection.exec_driver_sql(f"PRAGMA user_version = {newest}")


def _found(connection: Connection, place: Place) -> str:
    """Return the version of the tables, "" where there are none."""
    newest, found = NEWEST[place.kind], ""
    if _stamped(connection, place):
        found = str(connection.execute(select(_table(place).c.version_num)).scalar() or "")
    number = int(found) if found.isdigit() else None
    if place.file is not None:
        said = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
        number = max(said, number or 0)
        found = found or (str(said) if said else "")
    if found and (number is None or number > newest):
        what = "ledger" if place.kind == "project" else "records of the service"
        raise LedgerError(
            f"the {what} {place} has version {number or found}, this program knows up to {newest}. "
            "Upgrade it, or use another home folder or database."
        )
    return found


def _stamped(connection: Connection, place: Place) -> bool:
    if place.file is not None:
        query = "SELECT count(*) FROM main.sqlite_master WHERE name = 'alembic_version'"
        return bool(connection.exec_driver_sql(query).scalar())
    name = f'"{place.schema}".{_VERSIONS}'
    return (
        connection.execute(text("SELECT to_regclass(:name)"), {"name": name}).scalar() is not None
    )


def _table(place: Place) -> Table:
    number = Column("version_num", String(32), primary_key=True)
    return Table(_VERSIONS, MetaData(schema=place.schema or "main"), number)


def _make_schema(connection: Connection, schema: str) -> None:
    query = text("SELECT count(*) FROM pg_namespace WHERE nspname = :name")
    if not connection.execute(query, {"name": schema}).scalar():
        connection.exec_driver_sql(f'CREATE SCHEMA "{schema}"')


def _make(connection: Connection, place: Place) -> None:
    if place.kind == "project":
        from cvat_bridge.database.project_tables import identity, metadata

        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(identity), {"id": secrets.token_hex(4)})
    else:
        from cvat_bridge.database.service_tables import metadata, tokens

        metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(tokens), {"last": 0})
    _stamp(connection, place, str(NEWEST[place.kind]))


def _stamp(connection: Connection, place: Place, version: str) -> None:
    table = _table(place)
    table.create(connection, checkfirst=True)
    connection.execute(insert(table), {"version_num": version})


def _migrate(connection: Connection, place: Place, found: str) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS / place.kind)])
    with Operations.context(MigrationContext.configure(connection)):
        for step in reversed(list(scripts.iterate_revisions("head", found))):
            step.module.upgrade()
    connection.execute(update(_table(place)).values(version_num=str(NEWEST[place.kind])))
