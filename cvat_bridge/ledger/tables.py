"""Rows of the ledger's tables ↔ frozen records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from cvat_bridge.database.engine import Database

T = TypeVar("T")


class Records(Generic[T]):
    """One table whose columns are a record's fields, in their order.

    lists: fields that are read back as tuples. by: a column before the record's own (the round it
    belongs to).
    """

    def __init__(
        self,
        database: Database,
        table: Table,
        record: type[T],
        *,
        by: str = "",
        lists: Iterable[str] = (),
    ) -> None:
        self._database, self.table, self._record, self._by = database, table, record, by
        self._fields = tuple(field.name for field in fields(record))  # type: ignore[arg-type]  # records are dataclasses
        self._lists = [n for n, name in enumerate(self._fields) if name in set(lists)]
        self._select = select(*(table.c[name] for name in self._fields))

    def put(self, rows: Iterable[T], **clear: int) -> None:
        """Write rows over those of the same key, in one transaction.

        clear: column=value of rows to delete first, in the same transaction; for a table with
        `by` it is also what the rows belong to.
        """
        given = list(rows)
        self._database.write(lambda connection: self.put_in(connection, given, **clear))

    def put_in(self, connection: Connection, rows: Sequence[T], **clear: int) -> None:
        """Do it in a transaction that is open."""
        if clear:
            connection.execute(delete(self.table).where(*self._equal(clear)))
        before = {self._by: clear[self._by]} if self._by else {}
        upsert(
            connection,
            self.table,
            [before | {name: getattr(row, name) for name in self._fields} for row in rows],
        )

    def rows(self, *, order: Sequence[str], **where: int | None) -> tuple[T, ...]:
        """Read the rows in an order; where: column=value that must hold, None for any."""
        asked = {column: value for column, value in where.items() if value is not None}
        return self._read(self._select.where(*self._equal(asked)).order_by(*self._columns(order)))

    def newest(self, column: str, *, order: Sequence[str]) -> tuple[T, ...]:
        """Read the rows by falling values of a column, then in an order."""
        falling = self.table.c[column].desc()
        return self._read(self._select.order_by(falling, *self._columns(order)))

    def blocks(self, key: str, *, size: int) -> Iterator[tuple[T, ...]]:
        """Yield all rows by rising values of a column that is unique, so many at a time."""
        column = self.table.c[key]
        query = self._select.order_by(column).limit(size)
        rows = self._read(query)
        while rows:
            yield rows
            after = column > getattr(rows[-1], key)
            rows = self._read(query.where(after)) if len(rows) == size else ()

    def among(self, column: str, values: Sequence[Any]) -> tuple[T, ...]:
        """Read the rows whose column holds one of some hundred values."""
        return self._read(self._select.where(self.table.c[column].in_(values)))

    def _columns(self, names: Sequence[str]) -> list[ColumnElement[Any]]:
        return [self.table.c[name] for name in names]

    def _equal(self, values: Mapping[str, int]) -> list[ColumnElement[bool]]:
        return [self.table.c[name] == value for name, value in values.items()]

    def _read(self, query: Select[Any]) -> tuple[T, ...]:
        found = self._database.read(query)
        record, lists = self._record, self._lists
        if not lists:
            return tuple(record(*row) for row in found)
        made = []
        for row in found:
            values = list(row)
            for n in lists:
                values[n] = tuple(values[n])
            made.append(record(*values))
        return tuple(made)


def values_of(row: Any) -> dict[str, Any]:
    """Return the values of a record, by column."""
    return {field.name: getattr(row, field.name) for field in fields(row)}


def upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows over those of the same key."""
    if not rows:
        return
    query = insert_for(connection, table)
    keys = [column.name for column in table.primary_key]
    others = {c.name: query.excluded[c.name] for c in table.c if c.name not in keys}
    connection.execute(query.on_conflict_do_update(index_elements=keys, set_=others), rows)


def insert_for(connection: Connection, table: Table) -> Any:
    """Return an INSERT in the database's own words, which both have for conflicts."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)
