"""Rows of the ledger's tables ↔ frozen records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from cvat_bridge.ledger.schema import LedgerFile

T = TypeVar("T")


class Table(Generic[T]):
    """One table whose columns are a record's fields, in their order.

    lists, objects: fields kept as JSON, read back as tuples and dicts. flags: fields read back as
    booleans. by: a column before the record's own (the round it belongs to).
    """

    def __init__(
        self,
        file: LedgerFile,
        name: str,
        record: type[T],
        *,
        by: str = "",
        lists: Iterable[str] = (),
        objects: Iterable[str] = (),
        flags: Iterable[str] = (),
    ) -> None:
        self._file, self._name, self._record, self._by = file, name, record, by
        self._fields = tuple(field.name for field in fields(record))  # type: ignore[arg-type]  # records are dataclasses
        self._lists, self._objects, self._flags = set(lists), set(objects), set(flags)
        self._marks = ",".join("?" * (len(self._fields) + bool(by)))

    def put(self, rows: Iterable[T], **clear: int) -> None:
        """Write rows over those of the same key, in one transaction.

        clear: column=value of rows to delete first, in the same transaction; for a table with
        `by` it is also what the rows belong to.
        """
        before = (clear[self._by],) if self._by else ()
        with self._file.write() as db:
            if clear:
                where = " AND ".join(f"{column} = ?" for column in clear)
                db.execute(f"DELETE FROM {self._name} WHERE {where}", tuple(clear.values()))  # noqa: S608 our own names
            db.executemany(
                f"INSERT OR REPLACE INTO {self._name} VALUES ({self._marks})",  # noqa: S608
                (before + tuple(self._written(row, name) for name in self._fields) for row in rows),
            )

    def rows(self, *, order: str, **where: int | None) -> tuple[T, ...]:
        """Read the rows in an order; where: column=value that must hold, None for any."""
        asked = {column: value for column, value in where.items() if value is not None}
        text = " AND ".join(f"{column} = ?" for column in asked) or "1"
        columns = ",".join(f'"{name}"' for name in self._fields)
        query = f"SELECT {columns} FROM {self._name} WHERE {text} ORDER BY {order}"  # noqa: S608
        return tuple(
            self._record(*map(self._read, self._fields, row))
            for row in self._file.rows(query, *asked.values())
        )

    def among(self, column: str, values: Sequence[Any]) -> tuple[T, ...]:
        """Read the rows whose column holds one of some hundred values."""
        columns = ",".join(f'"{name}"' for name in self._fields)
        marks = ",".join("?" * len(values))
        query = f"SELECT {columns} FROM {self._name} WHERE {column} IN ({marks})"  # noqa: S608
        return tuple(
            self._record(*map(self._read, self._fields, row))
            for row in self._file.rows(query, *values)
        )

    def _written(self, row: T, name: str) -> Any:
        value = getattr(row, name)
        if name in self._lists or name in self._objects:
            return json.dumps(value)
        return value

    def _read(self, name: str, value: Any) -> Any:
        if name in self._lists:
            return tuple(json.loads(value))
        if name in self._objects:
            return json.loads(value)
        return bool(value) if name in self._flags else value
