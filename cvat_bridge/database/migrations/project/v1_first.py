"""The ledger of the first release."""

from __future__ import annotations

import secrets

from alembic import op
from sqlalchemy import Boolean, Column

from cvat_bridge.database.types import REAL, WHOLE, Json, Words

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "frames",
        Column("key", Words, primary_key=True, autoincrement=False),
        Column("task_id", WHOLE, nullable=False),
        Column("frame", WHOLE, nullable=False),
        Column("sha256", Words, nullable=False),
        Column("suffix", Words, nullable=False),
        Column("width", WHOLE, nullable=False),
        Column("height", WHOLE, nullable=False),
        Column("perceptual", Words, nullable=False),
        Column("problem", Words, nullable=False),
    )
    op.create_table(
        "jobs_used",
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("updated_date", Words, nullable=False),
        Column("state", Words, nullable=False),
        Column("fingerprint", Words, nullable=False),
    )
    op.create_table(
        "job_looks",
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("updated_date", Words, nullable=False),
        Column("touched", Boolean, nullable=False),
    )
    op.create_table(
        "selections",
        Column("round", WHOLE, primary_key=True, autoincrement=False),
        Column("rank", WHOLE, primary_key=True, autoincrement=False),
        Column("task_id", WHOLE, nullable=False),
        Column("frame", WHOLE, nullable=False),
        Column("score", REAL),
        Column("arm", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("weight", REAL),
    )
    op.create_table(
        "provenance",
        Column("task_id", WHOLE, primary_key=True, autoincrement=False),
        Column("frame", WHOLE, primary_key=True, autoincrement=False),
        Column("source_task", WHOLE, nullable=False),
        Column("source_frame", WHOLE, nullable=False),
        Column("round", WHOLE, nullable=False),
        Column("rank", WHOLE, nullable=False),
        Column("score", REAL),
        Column("arm", Words, nullable=False),
        Column("reason", Words, nullable=False),
        Column("weight", REAL),
    )
    op.create_table(
        "proposals",
        Column("round", WHOLE, primary_key=True, autoincrement=False),
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("frame", WHOLE, primary_key=True, autoincrement=False),
        Column("place", WHOLE, primary_key=True, autoincrement=False),
        Column("label_id", WHOLE, nullable=False),
        Column("label", Words, nullable=False),
        Column("shape_type", Words, nullable=False),
        Column("points", Json, nullable=False),
        Column("score", REAL, nullable=False),
        Column("model", Words, nullable=False),
        Column("shape_id", WHOLE),
        Column("source", Words, nullable=False),
    )
    op.create_table(
        "preannotated",
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("round", WHOLE, nullable=False),
        Column("model", Words, nullable=False),
        Column("problem", Words, nullable=False),
    )
    op.create_table(
        "corrections",
        Column("round", WHOLE, nullable=False),
        Column("job_id", WHOLE, primary_key=True, autoincrement=False),
        Column("frame", WHOLE, primary_key=True, autoincrement=False),
        Column("place", WHOLE, primary_key=True, autoincrement=False),
        Column("outcome", Words, nullable=False),
        Column("proposed_label", Words, nullable=False),
        Column("final_label", Words, nullable=False),
        Column("iou", REAL),
        Column("score", REAL),
        Column("model", Words, nullable=False),
    )
    op.create_table(
        "rounds",
        Column("number", WHOLE, primary_key=True, autoincrement=False),
        Column("project_id", WHOLE, nullable=False),
        Column("state", Words, nullable=False),
        Column("waits_for", Words, nullable=False),
        Column("started", Words, nullable=False),
        Column("ended", Words, nullable=False),
        Column("decision", Words, nullable=False),
        Column("reasons", Json, nullable=False),
        Column("figures", Json, nullable=False),
    )
    op.create_table(
        "decisions",
        Column("round", WHOLE, primary_key=True, autoincrement=False),
        Column("champion", Words, nullable=False),
        Column("challenger", Words, nullable=False),
        Column("promoted", Boolean, nullable=False),
        Column("reasons", Json, nullable=False),
        Column("figures", Json, nullable=False),
        Column("decided", Words, nullable=False),
    )
    op.create_table(
        "holdout",
        Column("sha256", Words, primary_key=True, autoincrement=False),
        Column("role", Words, nullable=False),
        Column("group", Words, nullable=False),
        Column("rule", Words, nullable=False),
        Column("since", Words, nullable=False),
    )
    op.create_table(
        "choices",
        Column("round", WHOLE, primary_key=True, autoincrement=False),
        Column("about", Json, nullable=False),
    )
    op.create_table(
        "ranked_jobs",
        Column("round", WHOLE, primary_key=True, autoincrement=False),
        Column("rank", WHOLE, primary_key=True, autoincrement=False),
        Column("job_id", WHOLE, nullable=False),
        Column("task_id", WHOLE, nullable=False),
        Column("frames", Json, nullable=False),
        Column("scores", Json, nullable=False),
        Column("reason", Words, nullable=False),
    )
    op.create_table(
        "labels",
        Column("label_id", WHOLE, primary_key=True, autoincrement=False),
        Column("name", Words, nullable=False),
        Column("type", Words, nullable=False),
    )
    made = op.create_table(
        "identity",
        Column("id", Words, nullable=False),
    )
    op.bulk_insert(made, [{"id": secrets.token_hex(4)}])
    op.create_index("provenance_by_round", "provenance", ["round"])
    op.create_index("proposals_by_job", "proposals", ["job_id"])
