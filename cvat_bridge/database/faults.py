"""What a database refuses, in words that say what to do. No password is ever in them."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from cvat_bridge.database.place import Place
from cvat_bridge.errors import DatabaseAwayError, LedgerError, RecordsError
from cvat_bridge.secrecy import without_secrets

DAMAGED = (
    "Put the newest copy of it back, or stop the bridge and run `cvat-bridge restore`: it sets the "
    "file aside and finds again what CVAT and the home know"
)
# SQLSTATE classes: connection, resources, operator intervention.
_AWAY = ("08", "53", "57")
# What a server says before there is a connection carries no SQLSTATE.
_REFUSED = (
    ("password authentication failed", "the user or its password is wrong"),
    ("no password supplied", "a password is needed and database_url has none"),
    ("pg_hba.conf", "the server lets this user, machine or encryption not in (pg_hba.conf)"),
    ("does not exist", "the database or the user is not there; create it on the server first"),
    ("permission denied for database", "the user may not connect to this database"),
    ("could not translate host name", "there is no machine of this name"),
    ("failed to resolve host", "there is no machine of this name"),
)


def damaged(place: Place, damage: str) -> RecordsError:
    """Name a file that is damaged, and the way back."""
    return RecordsError([f"the ledger {place} cannot be read: {damage}"], DAMAGED)


def fault_of(place: Place, doing: str, error: SQLAlchemyError) -> LedgerError:
    """Return the error that people see for one of the database.

    doing: "reading", "writing to", "opening". DatabaseAwayError where it is worth trying again.
    """
    cause = getattr(error, "orig", None) or error
    # The first line names the fault, the others the query and its values.
    said = without_secrets((str(cause).strip() or type(cause).__name__).splitlines()[0])
    if place.file is not None:
        # Of the others (locked, full, read-only) SQLite makes OperationalErrors.
        if type(cause) is sqlite3.DatabaseError:
            return damaged(place, said)
        return LedgerError(f"{doing} the ledger {place} failed: {said}")
    return _of_server(place, doing, error, said, str(getattr(cause, "sqlstate", None) or ""))


def _of_server(
    place: Place, doing: str, error: SQLAlchemyError, said: str, state: str
) -> LedgerError:
    if state == "42501":
        return LedgerError(
            f"{doing} the records in {place} is not allowed: {said}. Let its user make and use "
            "schemas: GRANT CREATE, CONNECT ON DATABASE … TO …; and it must own those there are"
        )
    if state == "55P03":
        return DatabaseAwayError(f"{doing} the records in {place}: another process holds them")
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    unconnected = not state and isinstance(error, (OperationalError, InterfaceError))
    if unconnected and not lost:
        for sign, meant in _REFUSED:
            if sign in str(error).lower():
                return LedgerError(f"{place} cannot be used: {meant} ({said}). See database_url")
    if lost or unconnected or isinstance(error, NoConnectionError) or state[:2] in _AWAY:
        return DatabaseAwayError(
            f"the database does not answer ({place}: {said}). Does it run, and is it reached from "
            "here? Work goes on when it answers again"
        )
    return LedgerError(f"{doing} the records in {place} failed: {said}")
