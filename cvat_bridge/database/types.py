"""Column types that read and order alike on both databases, and the database's clock."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import BigInteger, Dialect, Float, Integer, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

# CVAT's ids grow; SQLite's INTEGER has 64 bits.
WHOLE = BigInteger().with_variant(Integer(), "sqlite")
REAL = Float(53)


class Words(TypeDecorator[str]):
    """Text, ordered by its bytes on both databases.

    PostgreSQL keeps no NUL: it is kept there as the sign for a character that is not known.
    """

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the type by which a database orders bytes."""
        collation = "C" if dialect.name == "postgresql" else None
        return dialect.type_descriptor(Text(collation=collation))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return what is written."""
        if value is not None and dialect.name == "postgresql" and "\x00" in value:
            return value.replace("\x00", "\ufffd")
        return value


class Json(TypeDecorator[Any]):
    """A value as JSON in a text, NaN included, which databases' own JSON refuses."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:  # noqa: ARG002 the interface
        """Return what is written."""
        return json.dumps(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Return what is read."""
        return None if value is None else json.loads(value)


class database_now(FunctionElement[float]):  # noqa: N801 a function of SQL
    """Seconds since 1970 by the database's clock, when the statement runs."""

    type = REAL
    inherit_cache = True


@compiles(database_now, "sqlite")
def _sqlite_now(_element: database_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _postgresql_now(_element: database_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"
