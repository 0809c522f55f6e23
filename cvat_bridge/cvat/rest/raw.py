"""From CVAT's JSON to values of ours; fields that an older server lacks get their default."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cvat_bridge.cvat.gateway import (
    Attribute,
    Capabilities,
    FunctionInfo,
    Job,
    Label,
    Project,
    Task,
    User,
    Webhook,
)
from cvat_bridge.errors import UnsupportedError

Json = Mapping[str, Any]
OLDEST, NEWEST = (2, 48), (2, 80)


def capabilities(about: Any) -> Capabilities:
    """Read what /api/server/about says.

    Raises UnsupportedError for a server outside 2.48 to 2.80, or one that gives no version.
    """
    text = str(about.get("version", "")) if isinstance(about, Mapping) else ""
    found = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise UnsupportedError(
            "read", "the server's version", 200, f"found {text or 'none'!r}", "Is this a CVAT?"
        )
    version = (int(found[1]), int(found[2]), int(found[3] or 0))
    minor = version[:2]
    if not OLDEST <= minor <= NEWEST:
        raise UnsupportedError(
            "use", "this server", 200, f"it is CVAT {text}", "The bridge knows CVAT 2.48 to 2.80"
        )
    return Capabilities(
        version=version,
        access_tokens=minor >= (2, 48),
        media_storage=minor >= (2, 44),
        score=minor >= (2, 56),
        shapes_answer=minor >= (2, 60),
        webhook_changes=minor >= (2, 73),
        intervals=minor >= (2, 66),
    )


def user(row: Json | None) -> User | None:
    """Read an account; None stays None."""
    return User(int(row["id"]), str(row["username"])) if row else None


JOB_TYPES: dict[str, Any] = {"replica": "consensus_replica"}  # as CVAT calls it from 2.80


def project(row: Json) -> Project:
    """Read a project."""
    return Project(
        id=int(row["id"]),
        name=str(row["name"]),
        owner=user(row.get("owner")),
        organization=_organization(row),
        updated_date=str(row.get("updated_date") or ""),
        dimension=str(row.get("dimension") or "2d"),
    )


def _organization(row: Json) -> int | None:
    value = row.get("organization_id", row.get("organization"))
    return int(value) if value is not None else None


def label(row: Json) -> Label:
    """Read a label."""
    return Label(
        id=int(row["id"]),
        name=str(row["name"]),
        type=str(row.get("type") or "any"),
        attributes=tuple(
            Attribute(
                id=int(attribute["id"]),
                name=str(attribute["name"]),
                input_type=str(attribute["input_type"]),
                values=tuple(str(value) for value in attribute.get("values") or ()),
                default_value=str(attribute.get("default_value") or ""),
                mutable=bool(attribute.get("mutable")),
            )
            for attribute in row.get("attributes") or ()
        ),
        color=str(row.get("color") or ""),
    )


def task(row: Json, *, consensus_replicas: int = 0) -> Task:
    """Read a task. consensus_replicas: from its jobs, since the task does not tell."""
    return Task(
        id=int(row["id"]),
        name=str(row["name"]),
        project_id=row.get("project_id"),
        size=int(row.get("size") or 0),
        mode=str(row.get("mode") or ""),
        subset=str(row.get("subset") or ""),
        updated_date=str(row.get("updated_date") or ""),
        dimension=str(row.get("dimension") or "2d"),
        bug_tracker=str(row.get("bug_tracker") or ""),
        consensus_replicas=consensus_replicas,
        validation_mode=row.get("validation_mode"),
        owner=user(row.get("owner")),
    )


def job(row: Json) -> Job:
    """Read a job."""
    start, stop = int(row["start_frame"]), int(row["stop_frame"])
    return Job(
        id=int(row["id"]),
        task_id=int(row["task_id"]),
        project_id=row.get("project_id"),
        type=JOB_TYPES.get(kind := str(row.get("type") or "annotation"), kind),
        stage=row["stage"],
        state=row["state"],
        assignee=user(row.get("assignee")),
        start_frame=start,
        stop_frame=stop,
        frame_count=int(row.get("frame_count") or stop - start + 1),
        updated_date=str(row.get("updated_date") or ""),
        created_date=str(row.get("created_date") or ""),
        parent_job_id=row.get("parent_job_id"),
    )


def webhook(row: Json) -> Webhook:
    """Read a webhook."""
    return Webhook(
        id=int(row["id"]),
        target_url=str(row["target_url"]),
        events=tuple(sorted(str(event) for event in row.get("events") or ())),
        is_active=bool(row.get("is_active")),
    )


def function(row: Json) -> FunctionInfo:
    """Read one of CVAT's functions."""
    return FunctionInfo(
        id=str(row["id"]),
        kind=str(row.get("kind") or ""),
        name=str(row.get("name") or row["id"]),
        labels=tuple(row.get("labels_v2") or ()),
    )
