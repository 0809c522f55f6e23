"""All rows of one place into another, on whichever databases, and the proof that they are there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    CursorResult,
    MetaData,
    Row,
    Select,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    text,
)

from cvat_bridge.database.engine import Database, forget
from cvat_bridge.database.project_tables import metadata
from cvat_bridge.database.types import Json
from cvat_bridge.errors import LedgerError

_PIECE = 2000  # rows in memory at once
Counts = Mapping[str, int]


def copy_ledger(source: Database, target: Database) -> Counts:
    """Copy a ledger, identity included, and compare it row for row; return the rows by table.

    target: without rows, or with the same already. Raises LedgerError.
    """
    tables = [_raw(table) for table in metadata.sorted_tables]

    def copy(read: Connection, write: Connection) -> Counts:
        filled = [t.name for t in tables if t.name != "identity" and _count(write, t)]
        if not filled:
            copy_rows(read, write, tables)
        different = compare_rows(read, write, tables)
        if different and filled:
            raise LedgerError(
                f"{target.place} already holds other records than {source.place} "
                f"({', '.join(different)}); nothing was changed there"
            )
        if different:
            raise LedgerError(
                f"copying {source.place} to {target.place} failed: rows of "
                f"{', '.join(different)} differ; nothing was changed there"
            )
        return {table.name: _count(write, table) for table in tables}

    return source.snapshot(lambda read: target.write(lambda write: copy(read, write)))


def copy_rows(read: Connection, write: Connection, tables: Sequence[Table]) -> None:
    """Put the rows of these tables in the place of those that the other connection has."""
    for table in reversed(tables):
        write.execute(delete(table))
    for table in tables:
        for rows in _streamed(read, select(table)).mappings().partitions(_PIECE):
            write.execute(insert(table), [dict(row) for row in rows])


def compare_rows(one: Connection, other: Connection, tables: Sequence[Table]) -> list[str]:
    """Return the names of tables whose rows differ."""
    return [
        table.name
        for table in tables
        if any(
            (None if a is None else _kept(a, other)) != (None if b is None else tuple(b))
            for a, b in itertools.zip_longest(_ordered(one, table), _ordered(other, table))
        )
    ]


def set_schema_aside(database: Database, why: str) -> str:
    """Rename a server's schema out of the way and return its new name; close the database then."""
    place = database.place

    def rename(connection: Connection) -> str:
        name = free_schema(connection, f"{place.schema}_{why}")
        connection.exec_driver_sql(f'ALTER SCHEMA "{place.schema}" RENAME TO "{name}"')
        return name

    name = database.write(rename)
    forget(place)
    return name


def free_schema(connection: Connection, stem: str) -> str:
    """Return a name that no schema has yet."""
    taken = set(connection.execute(text("SELECT nspname FROM pg_namespace")).scalars())
    return next(name for n in itertools.count(1) if (name := f"{stem}_{n}") not in taken)


def _raw(table: Table) -> Table:
    """Return a table whose JSON is read and written as the text it is."""
    columns = [
        Column(c.name, Text() if isinstance(c.type, Json) else c.type, primary_key=c.primary_key)
        for c in table.columns
    ]
    return Table(table.name, MetaData(schema=table.schema), *columns)


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _ordered(connection: Connection, table: Table) -> Iterator[Row[Any]]:
    keys = list(table.primary_key) or list(table.columns)
    yield from _streamed(connection, select(table).order_by(*keys))


def _streamed(connection: Connection, query: Select[Any]) -> CursorResult[Any]:
    return connection.execute(query, execution_options={"yield_per": _PIECE})


def _kept(row: Row[Any], connection: Connection) -> tuple[Any, ...]:
    """Return a row as the other database keeps it."""
    if connection.dialect.name != "postgresql":
        return tuple(row)
    return tuple(v.replace("\x00", "\ufffd") if isinstance(v, str) else v for v in row)
