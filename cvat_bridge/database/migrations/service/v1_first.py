"""Leases and flags."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from cvat_bridge.database.service_tables import NAMED
from cvat_bridge.database.types import REAL, WHOLE, Json, Words

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "leases",
        Column("name", Words, primary_key=True),
        Column("holder", Words, nullable=False),
        Column("token", WHOLE, nullable=False),
        Column("about", Json, nullable=False),
        Column("since", REAL, nullable=False),
        Column("renewed", REAL, nullable=False),
        Column("expires", REAL, nullable=False),
        schema=NAMED,
    )
    made = op.create_table("tokens", Column("last", WHOLE, nullable=False), schema=NAMED)
    op.bulk_insert(made, [{"last": 0}])
    op.create_table("identity", Column("id", Words, nullable=False), schema=NAMED)
    op.create_table(
        "flags",
        Column("name", Words, primary_key=True),
        Column("about", Json, nullable=False),
        Column("since", REAL, nullable=False),
        schema=NAMED,
    )
