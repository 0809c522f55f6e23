"""What `annotate` did with frames."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column

from cvat_bridge.database.types import WHOLE, Json, Words

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "annotated",
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("frame", WHOLE, primary_key=True, autoincrement=False),
        Column("model", Words, primary_key=True, autoincrement=False),
        Column("reach", Json, nullable=False),
        Column("objects", WHOLE, nullable=False),
        Column("pending", Json, nullable=False),
    )
