"""The tables of one project's ledger. Column order is the field order of ledger.records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Index, MetaData, Table
from sqlalchemy.types import TypeEngine

from cvat_bridge.database.types import REAL, WHOLE, Json, Words

_Type = TypeEngine[Any] | type[TypeEngine[Any]]

metadata = MetaData()


def _key(name: str, type_: _Type = WHOLE) -> Column[Any]:
    # Given by CVAT or by us, never counted up by the database.
    return Column(name, type_, primary_key=True, autoincrement=False)


def _due(name: str, type_: _Type = Words) -> Column[Any]:
    return Column(name, type_, nullable=False)


def _may(name: str, type_: _Type = REAL) -> Column[Any]:
    return Column(name, type_)


frames = Table(
    "frames",
    metadata,
    _key("key", Words),
    *(_due("task_id", WHOLE), _due("frame", WHOLE), _due("sha256"), _due("suffix")),
    *(_due("width", WHOLE), _due("height", WHOLE), _due("perceptual"), _due("problem")),
)
jobs_used = Table(
    "jobs_used",
    metadata,
    *(_key("job_id"), _due("updated_date"), _due("state"), _due("fingerprint")),
)
job_looks = Table(
    "job_looks", metadata, _key("job_id"), _due("updated_date"), _due("touched", Boolean)
)
selections = Table(
    "selections",
    metadata,
    *(_key("round"), _key("rank"), _due("task_id", WHOLE), _due("frame", WHOLE)),
    *(_may("score"), _due("arm"), _due("reason"), _may("weight")),
)
provenance = Table(
    "provenance",
    metadata,
    *(_key("task_id"), _key("frame"), _due("source_task", WHOLE), _due("source_frame", WHOLE)),
    *(_due("round", WHOLE), _due("rank", WHOLE), _may("score"), _due("arm"), _due("reason")),
    _may("weight"),
    Index("provenance_by_round", "round"),
)
proposals = Table(
    "proposals",
    metadata,
    *(_key("round"), _key("job_id"), _key("frame"), _key("place")),
    *(_due("label_id", WHOLE), _due("label"), _due("shape_type"), _due("points", Json)),
    *(_due("score", REAL), _due("model"), _may("shape_id", WHOLE), _due("source")),
    Index("proposals_by_job", "job_id"),
)
preannotated = Table(
    "preannotated",
    metadata,
    *(_key("job_id"), _due("round", WHOLE), _due("model"), _due("problem")),
)
corrections = Table(
    "corrections",
    metadata,
    *(_due("round", WHOLE), _key("job_id"), _key("frame"), _key("place"), _due("outcome")),
    *(_due("proposed_label"), _due("final_label"), _may("iou"), _may("score"), _due("model")),
)
rounds = Table(
    "rounds",
    metadata,
    *(_key("number"), _due("project_id", WHOLE), _due("state"), _due("waits_for")),
    *(_due("started"), _due("ended"), _due("decision"), _due("reasons", Json)),
    _due("figures", Json),
)
decisions = Table(
    "decisions",
    metadata,
    *(_key("round"), _due("champion"), _due("challenger"), _due("promoted", Boolean)),
    *(_due("reasons", Json), _due("figures", Json), _due("decided")),
)
holdout = Table(
    "holdout",
    metadata,
    *(_key("sha256", Words), _due("role"), _due("group"), _due("rule"), _due("since")),
)
choices = Table("choices", metadata, _key("round"), _due("about", Json))
ranked_jobs = Table(
    "ranked_jobs",
    metadata,
    *(_key("round"), _key("rank"), _due("job_id", WHOLE), _due("task_id", WHOLE)),
    *(_due("frames", Json), _due("scores", Json), _due("reason")),
)
labels = Table("labels", metadata, _key("label_id"), _due("name"), _due("type"))
identity = Table("identity", metadata, _due("id"))
annotated = Table(
    "annotated",
    metadata,
    *(_key("job_id"), _key("frame"), _key("model", Words)),
    *(_due("reach", Json), _due("objects", WHOLE), _due("pending", Json)),
)
judgements = Table(
    "judgements",
    metadata,
    *(_key("model", Words), _key("source", Words), _due("round", WHOLE), _due("frames", WHOLE)),
    *(_due("objects", WHOLE), _due("answers", WHOLE), _due("threshold", REAL), _due("file")),
    *(_due("crops"), _due("recorded")),
)
pools = Table(
    "pools",
    metadata,
    *(_key("model", Words), _due("round", WHOLE), _due("frames", WHOLE), _due("file")),
    *(_due("crops"), _due("recorded")),
)
requests = Table(
    "requests",
    metadata,
    _key("key", Words),
    Column("number", WHOLE, nullable=False, unique=True),
    *(_due("who"), _due("name"), _due("source"), _due("model"), _due("asked")),
    *(_due("request", Json), _may("task_id", WHOLE), _due("done"), _due("outcome", Json)),
)
job_efforts = Table(
    "job_efforts",
    metadata,
    *(_key("job_id"), _due("round", WHOLE), _due("task_id", WHOLE), _due("arm"), _due("model")),
    *(_due("annotator"), _due("frames", WHOLE), _due("objects", WHOLE), _may("worked")),
    *(_may("spell"), _due("finished")),
)
threshold_choices = Table(
    "threshold_choices",
    metadata,
    *(_key("number"), _due("label"), _may("score"), _due("who"), _due("chosen")),
)
reviews = Table(
    "reviews",
    metadata,
    *(_key("key", Words), _due("job_id", WHOLE), _due("suspect", Json), _due("who")),
    *(_due("sent"), _may("issue", WHOLE), _due("verdict")),
)
asset_groups = Table(
    "asset_groups",
    metadata,
    *(_key("name", Words), _key("version"), _due("kind"), _due("about"), _due("frames", Json)),
    *(_due("images", Json), _due("who"), _due("made")),
)
