"""The sign of a bridge at work: a webhook of the project that never delivers.

CVAT has no place for notes of programs. An inactive webhook is seen by nobody who annotates, only
by those who manage the project's webhooks; it goes with the project, touches none of its dates,
and CVAT itself dates every change of it.
"""

from __future__ import annotations

import re
from typing import Any

from cvat_bridge.cvat.gateway import Lease
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.errors import NotFoundError

# ".invalid" never leads anywhere (RFC 2606).
_TARGET = re.compile(r"https://([0-9a-f]+)\.cvat-bridge\.invalid/lease")
_LONGEST = 128  # characters that CVAT keeps of a description
_PREFIX = "Sign of a cvat-bridge at work: "


def holder_of(row: dict[str, Any]) -> str | None:
    """Return the holder of the lease that a webhook is; None for any other webhook."""
    found = _TARGET.fullmatch(str(row.get("target_url")))
    return found[1] if found else None


def webhooks_of(net: Connection, project_id: int) -> list[dict[str, Any]]:
    """Read the webhooks of a project, leases among them, as CVAT tells them."""
    rows = net.pages(
        "/api/webhooks", f"webhooks of project {project_id}", query={"project_id": project_id}
    )
    return [row for row in rows if row.get("project_id") == project_id]


def read(net: Connection, project_id: int) -> tuple[Lease, ...]:
    """Read the leases of a project."""
    return tuple(lease for row in webhooks_of(net, project_id) if (lease := _lease(row)))


def take(net: Connection, project_id: int, holder: str, description: str) -> Lease:
    """Make a lease."""
    body = {
        "target_url": f"https://{holder}.cvat-bridge.invalid/lease",
        "description": f"{_PREFIX}{description}"[:_LONGEST],
        "type": "project",
        "project_id": project_id,
        "content_type": "application/json",
        "is_active": False,
        "enable_ssl": True,
        "events": ["update:project"],
    }
    subject = f"lease of project {project_id}"
    row = net.call("POST", "/api/webhooks", "take", subject, body=body, repeatable=False)
    return _made(row, holder)


def renew(net: Connection, lease: Lease) -> Lease:
    """Write a lease again as it is, which moves its date."""
    body = {"description": f"{_PREFIX}{lease.description}"[:_LONGEST], "is_active": False}
    path = f"/api/webhooks/{lease.id}"
    return _made(net.call("PATCH", path, "renew", f"lease {lease.id}", body=body), lease.holder)


def drop(net: Connection, lease: Lease) -> None:
    """Delete a lease."""
    try:
        net.call("DELETE", f"/api/webhooks/{lease.id}", "drop", f"lease {lease.id}")
    except NotFoundError:
        return


def _made(row: dict[str, Any], holder: str) -> Lease:
    description = str(row.get("description") or "").removeprefix(_PREFIX)
    return Lease(int(row["id"]), holder, description, str(row["updated_date"]))


def _lease(row: dict[str, Any]) -> Lease | None:
    holder = holder_of(row)
    return None if holder is None else _made(row, holder)
