"""Working time from CVAT's analytics: an export of the events, made by a worker of CVAT's."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import defaultdict
from typing import IO
from urllib.parse import parse_qsl, quote, urlsplit

from cvat_bridge.cvat.gateway import WorkingTime
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import Deadline
from cvat_bridge.errors import GatewayError, NotReadyError, UnsupportedError

SCOPE = "send:working_time"
CHECK_SECONDS = (0.2, 5.0)  # the shortest and the longest wait between two looks
_ADVICE = "CVAT's administrator switches it on with CVAT_ANALYTICS and its ClickHouse database"


def working_time(net: Connection, project_id: int, since: str, *, own_only: bool) -> WorkingTime:
    """Export the project's events and add up what was worked in each job."""
    subject = f"working time of project {project_id}"
    if not net.get("/api/server/plugins", "CVAT's plugins").get("ANALYTICS"):
        raise UnsupportedError("read", subject, 200, "analytics is switched off", _ADVICE)
    asked = {"project_id": project_id, **({"from": since} if since else {})}
    begun = net.call("POST", "/api/events/export", "export", subject, query=asked)
    where = urlsplit(_result(net, str(begun["rq_id"]), subject))
    with tempfile.TemporaryFile() as file:
        net.download(where.path, subject, file, query=dict(parse_qsl(where.query)))
        file.seek(0)
        return WorkingTime(seconds_by_job(file, subject), own_only)


def seconds_by_job(file: IO[bytes], subject: str) -> dict[int, float]:
    """Add up the events of SCOPE in a CSV file; GatewayError where it is none of events."""
    rows = csv.DictReader(io.TextIOWrapper(file, "utf-8", newline=""))
    if not {"scope", "job_id", "duration"} <= set(rows.fieldnames or ()):
        raise GatewayError("read", subject, 200, "the export has no scope, job_id and duration")
    found: dict[int, float] = defaultdict(float)
    for row in rows:
        if row["scope"] == SCOPE and row["job_id"] and row["duration"]:
            found[int(row["job_id"])] += float(row["duration"]) / 1000
    return dict(found)


def _result(net: Connection, request_id: str, subject: str) -> str:
    """Wait until the export is made; give where it lies."""
    deadline, (pause, longest) = Deadline(net.patience), CHECK_SECONDS
    while True:
        state = net.get(f"/api/requests/{quote(request_id, safe='')}", subject)
        if state["status"] == "failed":
            said = str(state.get("message") or "it does not say why").strip()[-400:]
            raise UnsupportedError("export", subject, 200, f"the export failed: {said}", _ADVICE)
        if state["status"] == "finished":
            return str(state["result_url"])
        if deadline.remaining() <= pause:
            raise NotReadyError(f"{subject}: CVAT is still exporting ({state['status']})")
        net.patience.sleep(pause)
        pause = min(longest, pause * 1.5)
