"""What the projects of a service have in common: leases and flags."""

from __future__ import annotations

from sqlalchemy import Column, MetaData, Table

from cvat_bridge.database.types import REAL, WHOLE, Json, Words

# Under this name a project's connection finds these tables, whatever they are called there.
NAMED = "service"
metadata = MetaData(schema=NAMED)

leases = Table(
    "leases",
    metadata,
    Column("name", Words, primary_key=True),
    Column("holder", Words, nullable=False),
    Column("token", WHOLE, nullable=False),
    Column("about", Json, nullable=False),
    Column("since", REAL, nullable=False),
    Column("renewed", REAL, nullable=False),
    Column("expires", REAL, nullable=False),
)

# One row: the highest token that was ever given, so that none comes twice.
tokens = Table("tokens", metadata, Column("last", WHOLE, nullable=False))

# One row, once it is asked for: what tells this database's bridge from any other.
identity = Table("identity", metadata, Column("id", Words, nullable=False))

flags = Table(
    "flags",
    metadata,
    Column("name", Words, primary_key=True),
    Column("about", Json, nullable=False),
    Column("since", REAL, nullable=False),
)
