"""What people read in CVAT: a project's annotation guide, questions pinned to a frame."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import once

log = logging.getLogger(__name__)


def guide(net: Connection, project_id: int) -> str:
    """Read the project's guide; "" when there is none."""
    number = net.get(f"/api/projects/{project_id}", f"project {project_id}").get("guide_id")
    if number is None:
        return ""
    return str(net.get(f"/api/guides/{number}", f"guide of project {project_id}")["markdown"])


def set_guide(net: Connection, project_id: int, markdown: str) -> None:
    """Write the project's guide; one is made when there is none (a second would be a 500)."""
    subject = f"guide of project {project_id}"

    def look() -> Any:
        row = net.get(f"/api/projects/{project_id}", f"project {project_id}")
        if not row.get("guide_id"):
            return None
        path = f"/api/guides/{row['guide_id']}"
        return net.call("PATCH", path, "write", subject, body={"markdown": markdown})

    def make() -> Any:
        body = {"project_id": project_id, "markdown": markdown}
        return net.call("POST", "/api/guides", "make", subject, body=body, repeatable=False)

    once(net.patience, look, make)


def create_issue(
    net: Connection, job_id: int, frame: int, message: str, position: Sequence[float]
) -> int:
    """Open an issue, or find the one that says the same in the same place."""
    subject = f"issue on frame {frame} of job {job_id}"
    place = [float(value) for value in position]
    body = {"job": job_id, "frame": frame, "message": message, "position": place}

    def make() -> int:
        row = net.call("POST", "/api/issues", "make", subject, body=body, repeatable=False)
        return int(row["id"])

    def tidy(kept: int) -> None:
        for number in _issues(net, job_id, frame, message, place):
            if number != kept:
                log.warning("issue %d of job %d was opened twice: deleted", number, job_id)
                net.call("DELETE", f"/api/issues/{number}", "delete", f"issue {number}")

    def look() -> int | None:
        return next(_issues(net, job_id, frame, message, place), None)

    return once(net.patience, look, make, tidy=tidy)


def issue_resolved(net: Connection, issue_id: int) -> bool:
    """Read whether an issue is resolved."""
    return bool(net.get(f"/api/issues/{issue_id}", f"issue {issue_id}")["resolved"])


def _issues(
    net: Connection, job_id: int, frame: int, message: str, place: Sequence[float]
) -> Iterator[int]:
    """Yield the issues that say the same in the same place."""
    rows = net.pages("/api/issues", f"issues of job {job_id}", query={"job_id": job_id})
    for row in rows:
        if int(row["frame"]) != frame or list(map(float, row["position"])) != list(place):
            continue
        number = int(row["id"])
        said = net.pages("/api/comments", f"comments of issue {number}", query={"issue_id": number})
        if said and said[0]["message"] == message:
            yield number
