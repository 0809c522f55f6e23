"""The records of rounds, which DBOS keeps: copied between databases while nobody works there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dbos import DBOS
from dbos._schemas import SCHEMA_PLACEHOLDER
from dbos._schemas.system_database import SystemSchema
from sqlalchemy import (
    Connection,
    Engine,
    Select,
    Table,
    create_engine,
    func,
    inspect,
    make_url,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from cvat_bridge.database.copying import compare_rows, copy_rows, free_schema
from cvat_bridge.database.place import is_server
from cvat_bridge.errors import LedgerError
from cvat_bridge.recovery.durable import check_readable, database_file

SCHEMA = "dbos"


def copy_rounds(source_url: str, target_url: str) -> Mapping[str, int]:
    """Copy every record of rounds and compare them row for row; return the rows by table.

    source_url, target_url: as `database_url`. Nothing is copied, and nothing returned, where the
    source has none yet. Raises LedgerError, also where the target holds other records.
    """
    if not has_rounds(source_url):
        return {}
    # Both get the tables of today, so that they have the same columns.
    for url in (source_url, target_url):
        check_readable(url)
        DBOS.migrate(_with_driver(url))
    try:
        with (
            _engine(source_url) as one,
            _engine(target_url) as other,
            one.begin() as read,
            other.begin() as write,
        ):
            return _copied(read, write, target_url)
    except SQLAlchemyError as error:
        fault = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise LedgerError(f"the records of rounds could not be copied: {fault}") from error


def has_rounds(url: str) -> bool:
    """Whether there are records of rounds in a database. Raises LedgerError."""
    file = database_file(url)
    if file is not None and (not file.exists() or not file.stat().st_size):
        return False
    try:
        with _engine(url) as engine, engine.connect() as connection:
            schema = SCHEMA if is_server(url) else None
            table = SystemSchema.workflow_status
            there = inspect(connection).has_table(table.name, schema=schema)
            return there and bool(connection.execute(_counted(table)).scalar_one())
    except SQLAlchemyError as error:
        fault = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise LedgerError(f"the records of rounds cannot be read: {fault}") from error


def set_rounds_aside(url: str, why: str) -> str:
    """Rename the schema of a server's records of rounds out of the way; return its new name."""
    with _engine(url) as engine, engine.begin() as connection:
        name = free_schema(connection, f"{SCHEMA}_{why}")
        connection.exec_driver_sql(f'ALTER SCHEMA "{SCHEMA}" RENAME TO "{name}"')
        return name


def _copied(read: Connection, write: Connection, target_url: str) -> Mapping[str, int]:
    tables = [
        table
        for table in SystemSchema.metadata_obj.sorted_tables
        if _there(read, table) and _there(write, table)
    ]
    filled = bool(write.execute(_counted(SystemSchema.workflow_status)).scalar_one())
    if not filled:
        copy_rows(read, write, tables)
    different = compare_rows(read, write, tables)
    if different:
        where = make_url(target_url).render_as_string(hide_password=True).partition("?")[0]
        what = "already hold others" if filled else "differ after copying"
        raise LedgerError(
            f"the records of rounds in {where} {what} ({', '.join(different)}); nothing was changed"
        )
    return {table.name: int(write.execute(_counted(table)).scalar_one()) for table in tables}


def _counted(table: Table) -> Select[Any]:
    return select(func.count()).select_from(table)


def _there(connection: Connection, table: Table) -> bool:
    schema = SCHEMA if connection.dialect.name == "postgresql" else None
    return inspect(connection).has_table(table.name, schema=schema)


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    schema = SCHEMA if is_server(url) else None
    options = {"schema_translate_map": {SCHEMA_PLACEHOLDER: schema}}
    engine = create_engine(_with_driver(url), execution_options=options, hide_parameters=True)
    try:
        yield engine
    finally:
        engine.dispose()


def _with_driver(url: str) -> str:
    made = make_url(url)
    if made.get_backend_name() == "postgresql":
        made = made.set(drivername="postgresql+psycopg")
    return made.render_as_string(hide_password=False)
