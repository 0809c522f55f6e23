"""What the sandbox remembers: one SQLite file and folders beside it.

Every thread has its own connection (WAL: readers never wait). Writers are serialised by BEGIN
IMMEDIATE, so that a route is one transaction.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cvat_bridge.sandbox.store.schema import SCHEMA

Row = dict[str, Any]


def now() -> str:
    """Return the time as CVAT writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _as_dict(cursor: sqlite3.Cursor, values: Sequence[Any]) -> Row:
    return {column[0]: value for column, value in zip(cursor.description, values, strict=True)}


class Db:
    """A connection with the four questions that routes ask."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=60)
        self._connection.row_factory = _as_dict
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")

    def run(self, sql: str, *values: Any) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, values)

    def script(self, sql: str) -> None:
        """Run many statements."""
        self._connection.executescript(sql)

    def many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row of values."""
        self._connection.executemany(sql, rows)

    def all(self, sql: str, *values: Any) -> list[Row]:
        """Return every row."""
        return list(self._connection.execute(sql, values).fetchall())

    def one(self, sql: str, *values: Any) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def scalar(self, sql: str, *values: Any) -> Any:
        """Return the first column of the first row, or None."""
        row = self.one(sql, *values)
        return next(iter(row.values())) if row else None

    def get(self, table: str, row_id: int | str | None) -> Row | None:
        """Return a row of a table of ours by id."""
        if row_id is None:
            return None
        return self.one(f"SELECT * FROM {table} WHERE id = ?", row_id)  # noqa: S608  table is ours

    def insert(self, table: str, **columns: Any) -> int:
        """Add a row to a table of ours and give its id."""
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({names}) VALUES ({marks})"  # noqa: S608  names are ours
        return int(self.run(sql, *columns.values()).lastrowid or 0)

    def update(self, table: str, row_id: Any, **columns: Any) -> None:
        """Set columns of a row of a table of ours."""
        sets = ", ".join(f"{name} = ?" for name in columns)
        sql = f"UPDATE {table} SET {sets} WHERE id = ?"  # noqa: S608  names are ours
        self.run(sql, *columns.values(), row_id)

    def ids(self, name: str, count: int) -> range:
        """Take the next ids of a sequence; like a database sequence, they are never reused."""
        row = self.one(
            "INSERT INTO sequence VALUES (?, ?) ON CONFLICT(name) "
            "DO UPDATE SET value = value + excluded.value RETURNING value",
            name,
            count,
        )
        last = int(row["value"]) if row else count
        return range(last - count + 1, last + 1)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all that is written inside, or nothing; inside another one, join it."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


VERSION = "2.73.0"  # of the server whose recordings the sandbox is held to


class State:
    """The database and folders of one sandbox."""

    def __init__(
        self,
        folder: Path,
        *,
        share: Path | None,
        function_host: str | None,
        version: str = VERSION,
        analytics: bool = False,
    ) -> None:
        # Rows name files by their path, and a later start may be in another folder.
        self.folder, self.function_host = folder.resolve(), function_host
        self.share = None if share is None else share.resolve()
        self.version, self.analytics = version, analytics
        self.folder.mkdir(parents=True, exist_ok=True)
        self._local = threading.local()
        self.db.script(SCHEMA)
        with self.db.transaction():  # work that died with the process will not come back
            self.db.run(
                "UPDATE request SET status = 'failed', message = 'The server was restarted', "
                "finished_date = ? WHERE status IN ('queued', 'started')",
                now(),
            )

    @property
    def names_replicas(self) -> bool:
        """Whether replicas are called so, and have nothing to do with consensus: from 2.80 on."""
        major, minor, *_ = self.version.split(".")
        return (int(major), int(minor)) >= (2, 80)

    @property
    def db(self) -> Db:
        """Return this thread's connection."""
        if not hasattr(self._local, "db"):
            self._local.db = Db(self.folder / "sandbox.db")
        db: Db = self._local.db
        return db

    def path(self, *parts: str) -> Path:
        """Return a folder of ours, made if need be."""
        path = self.folder.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path
