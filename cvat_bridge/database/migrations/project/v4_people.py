"""What people's work showed, and what they decided on the page."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import Column

from cvat_bridge.database.types import REAL, WHOLE, Json, Words

revision = "4"
down_revision = "3"


def _key(name: str, type_: Any = WHOLE) -> Column[Any]:
    return Column(name, type_, primary_key=True, autoincrement=False)


def _due(name: str, type_: Any = Words) -> Column[Any]:
    return Column(name, type_, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "job_efforts",
        *(_key("job_id"), _due("round", WHOLE), _due("task_id", WHOLE), _due("arm")),
        *(_due("model"), _due("annotator"), _due("frames", WHOLE), _due("objects", WHOLE)),
        *(Column("worked", REAL), Column("spell", REAL), _due("finished")),
    )
    op.create_table(
        "threshold_choices",
        *(_key("number"), _due("label"), Column("score", REAL), _due("who"), _due("chosen")),
    )
    op.create_table(
        "reviews",
        *(_key("key", Words), _due("job_id", WHOLE), _due("suspect", Json), _due("who")),
        *(_due("sent"), Column("issue", WHOLE), _due("verdict")),
    )
    op.create_table(
        "asset_groups",
        *(_key("name", Words), _key("version"), _due("kind"), _due("about")),
        *(_due("frames", Json), _due("images", Json), _due("who"), _due("made")),
    )
