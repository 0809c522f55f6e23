"""One place of records, open: reads, and writes of which everything happens or nothing does."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, Executable, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from cvat_bridge.database import versions
from cvat_bridge.database.damage import damage_of
from cvat_bridge.database.faults import damaged, fault_of
from cvat_bridge.database.place import SERVICE_SCHEMA, Place
from cvat_bridge.database.service_tables import NAMED
from cvat_bridge.errors import DatabaseAwayError, LedgerError

T = TypeVar("T")
Fence = Callable[[Connection], None]
log = structlog.get_logger("database")

_CONNECT_SECONDS = 5
_IDLE_SECONDS = 20  # a transaction that rests so long is of a process that was stopped
_AGAIN_SECONDS = 0.5
_servers: dict[str, Engine] = {}
_prepared: set[tuple[str, str]] = set()
_servers_lock = threading.Lock()


class Database:
    """A place of records. Safe to use from several threads and processes.

    patience: seconds to wait for another writer. away: seconds to wait for a server that does not
    answer; what is read or written then is begun anew, so that it is done once and whole.
    fence: called first in each transaction that writes; it raises where nothing may be written.
    Raises LedgerError, from every method too; DatabaseAwayError when a server does not answer.
    """

    def __init__(
        self,
        place: Place,
        *,
        patience: float = 30.0,
        away: float = 0.0,
        fence: Fence | None = None,
    ) -> None:
        self.place, self._away, self._fence = place, away, fence
        # Threads share the one connection to a file; a server has one for each.
        self._lock: Any = threading.RLock() if place.file is not None else _NoLock()
        self._own: Engine | None = None
        self._ready = False
        if place.file is not None:
            self._own = _file_engine(place, patience, beside=place.service if fence else None)
            engine = self._own
        else:
            engine = _server_engine(place, patience)
        schema = place.schema or None
        shared = None if place.kind == "service" and place.file else NAMED
        names = {None: schema, NAMED: SERVICE_SCHEMA if schema else shared}
        self._engine = engine.execution_options(schema_translate_map=names)
        plain: dict[str, Any] = {"reads": True} if place.file else {"isolation_level": "AUTOCOMMIT"}
        self._reading = self._engine.execution_options(**plain)
        try:
            if (place.url, place.schema) not in _prepared:
                self._patiently("opening", self._prepare)
        except BaseException:
            self.close()
            raise
        self._ready = True
        if place.file is None:
            _prepared.add((place.url, place.schema))

    def close(self) -> None:
        """Close it; of no use afterwards. Connections to a server are kept for the next one."""
        if self._own is not None:
            with self._lock:
                self._own.dispose()

    def read(self, query: Executable, values: Any = None) -> Sequence[Any]:
        """Read rows."""

        def work() -> Sequence[Any]:
            with self._reading.connect() as connection:
                return connection.execute(query, values).all()

        return self._patiently("reading", work)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Do some work in one transaction, while nobody else writes here; return what it returns.

        It may run more than once: where the connection was lost on the way, it begins anew.
        """
        return self._patiently("writing to", lambda: self._write(work))

    def snapshot(self, work: Callable[[Connection], T]) -> T:
        """Do some reading at one moment, whatever others write meanwhile."""

        def read() -> T:
            options = {} if self.place.file else {"isolation_level": "REPEATABLE READ"}
            with self._engine.execution_options(**options).begin() as connection:
                return work(connection)

        return self._patiently("reading", read)

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._engine.execution_options(writes=True).begin() as connection:
            if self.place.file is None:
                # As with SQLite, one writes at a time: a number that is counted up comes once.
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(hashtext(:schema))"),
                    {"schema": self.place.schema},
                )
            if self._fence is not None and self._ready:
                self._fence(connection)
            return work(connection)

    def _prepare(self) -> None:
        # Only what is older is written to, so that opening waits for nobody.
        with self._reading.connect() as connection:
            if versions.is_current(connection, self.place):
                return
        self._write(lambda one: versions.prepare(one, self.place))

    def _patiently(self, doing: str, work: Callable[[], T]) -> T:
        """Run it, again while a server does not answer, and say so once."""
        until, told = time.monotonic() + self._away, False
        while True:
            try:
                with self._lock:
                    done = work()
            except SQLAlchemyError as error:
                fault = fault_of(self.place, doing, error)
                if not isinstance(fault, DatabaseAwayError) or time.monotonic() >= until:
                    raise fault from error
                if not told:
                    log.warning("waiting for the database", why=str(fault))
                    told = True
                time.sleep(_AGAIN_SECONDS)
            else:
                if told:
                    log.info("the database answers again", where=str(self.place))
                return done


class _NoLock:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


def _file_engine(place: Place, patience: float, *, beside: Path | None) -> Engine:
    file = place.file
    assert file is not None  # noqa: S101 asked before
    if damage := damage_of(file, deep=False):
        raise damaged(place, damage)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unopened(place, error) from error
    engine = create_engine(
        "sqlite://",
        connect_args={"timeout": patience, "check_same_thread": False, "uri": False},
        poolclass=StaticPool,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, _args: Any, values: dict[str, Any]) -> Any:
        return sqlite3.connect(file, **values)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if beside is not None:
            connection.execute(f"ATTACH DATABASE ? AS {NAMED}", (str(beside),))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if not options.get("reads"):
            connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("writes") else "BEGIN")

    try:
        with engine.connect():
            pass
    except (SQLAlchemyError, OSError) as error:
        engine.dispose()
        raise _unopened(place, error) from error
    return engine


def _unopened(place: Place, error: Exception) -> LedgerError:
    said = getattr(error, "orig", None) or error
    return LedgerError(
        f"the ledger {place} cannot be opened: {said}. Is it a file of ours, and may this user "
        "write there?"
    )


def _server_engine(place: Place, patience: float) -> Engine:
    """Return the process's one engine for a server, which all places on it share."""
    with _servers_lock:
        if place.url in _servers:
            return _servers[place.url]
        engine = create_engine(
            place.url,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "cvat-bridge"},
            pool_pre_ping=True,
            pool_recycle=1800,
            max_overflow=40,
            hide_parameters=True,
        )

        @event.listens_for(engine, "connect")
        def prepare(connection: Any, _record: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute(f"SET lock_timeout = '{patience:g}s'")
                cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
            connection.commit()

        _servers[place.url] = engine
        return engine


def forget(place: Place) -> None:
    """Look anew at what stands in a place of a server, since it was moved away."""
    with _servers_lock:
        _prepared.discard((place.url, place.schema))


def close_servers() -> None:
    """Close every connection to servers that this process keeps for later."""
    with _servers_lock:
        engines = list(_servers.values())
        _servers.clear()
        _prepared.clear()
    for engine in engines:
        engine.dispose()
