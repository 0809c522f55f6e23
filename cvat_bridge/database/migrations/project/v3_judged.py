"""What models got right and wrong, what they saw in the pool, and wishes for tasks."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from cvat_bridge.database.types import REAL, WHOLE, Json, Words

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "judgements",
        Column("model", Words, primary_key=True, autoincrement=False),
        Column("source", Words, primary_key=True, autoincrement=False),
        Column("round", WHOLE, nullable=False),
        Column("frames", WHOLE, nullable=False),
        Column("objects", WHOLE, nullable=False),
        Column("answers", WHOLE, nullable=False),
        Column("threshold", REAL, nullable=False),
        Column("file", Words, nullable=False),
        Column("crops", Words, nullable=False),
        Column("recorded", Words, nullable=False),
    )
    op.create_table(
        "pools",
        Column("model", Words, primary_key=True, autoincrement=False),
        Column("round", WHOLE, nullable=False),
        Column("frames", WHOLE, nullable=False),
        Column("file", Words, nullable=False),
        Column("crops", Words, nullable=False),
        Column("recorded", Words, nullable=False),
    )
    op.create_table(
        "requests",
        Column("key", Words, primary_key=True, autoincrement=False),
        Column("number", WHOLE, nullable=False, unique=True),
        Column("who", Words, nullable=False),
        Column("name", Words, nullable=False),
        Column("source", Words, nullable=False),
        Column("model", Words, nullable=False),
        Column("asked", Words, nullable=False),
        Column("request", Json, nullable=False),
        Column("task_id", WHOLE),
        Column("done", Words, nullable=False),
        Column("outcome", Json, nullable=False),
    )
