"""What CVAT sends us: is it really CVAT, is it ours, and is it worth waking for? Pure.

A webhook only wakes the loop. The facts come from CVAT and the ledger, so that a lost, doubled,
late or forged delivery changes nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

WEBHOOK_PATH = "/webhooks/cvat"  # where CVAT delivers to, below service.public_url
SIGNATURE_HEADER = "X-Signature-256"
WAKING_EVENTS = frozenset(
    {"update:job", "create:job", "delete:job", "create:task", "delete:task", "update:project"}
)

DeliveryVerdict = Literal["wake", "ping", "ignored", "forged", "malformed"]


@dataclass(frozen=True)
class Delivery:
    """What became of one delivery, with the reason in words.

    project: which project to look at; None for one that does not say, where all are looked at.
    """

    verdict: DeliveryVerdict
    reason: str
    event: str = ""
    project: int | None = None


def signature(body: bytes, secret: str) -> str:
    """Return the header CVAT sends for this body (contract: HMAC-SHA256 of the raw bytes)."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def classify_delivery(
    body: bytes, header: str | None, *, secret: str, projects: Collection[int]
) -> Delivery:
    """Return what to do with a delivery; never raises, whatever the bytes are.

    The signature is checked on the raw bytes in constant time before anything is parsed.
    """
    if header is None or not hmac.compare_digest(
        header.encode("utf-8", "replace"), signature(body, secret).encode()
    ):
        return Delivery("forged", f"{SIGNATURE_HEADER} is missing or does not fit the body")
    try:
        payload = json.loads(body)
    except RecursionError:
        return Delivery("malformed", "the body is nested too deep")
    except ValueError as error:
        return Delivery("malformed", f"the body is not JSON: {error}")
    if not isinstance(payload, dict) or not isinstance(payload.get("event"), str):
        return Delivery("malformed", "the body has no `event`")
    event = payload["event"]
    if event == "ping":
        return Delivery("ping", "answered", event)
    if event not in WAKING_EVENTS:
        return Delivery("ignored", f"{event} does not move the loop", event)
    project = _project_of(payload)
    if project is not None and project not in projects:
        ours = ", ".join(map(str, sorted(projects))) or "none"
        return Delivery("ignored", f"project {project} is not ours ({ours})", event)
    if event == "update:job" and not _job_moved(payload):
        return Delivery("ignored", "only annotations were saved", event)
    return Delivery("wake", event, event, project)


def _project_of(payload: dict[str, Any]) -> int | None:
    for kind, key in (("job", "project_id"), ("task", "project_id"), ("project", "id")):
        resource = payload.get(kind)
        if isinstance(resource, dict):
            value = resource.get(key)
            return value if isinstance(value, int) else None
    return None


def _job_moved(payload: dict[str, Any]) -> bool:
    """Tell a job's move from the noise of saves; where the delivery does not say, it moved.

    Since 2.73 `changes` names the columns that differ; before, only `before_update` hints at it,
    under serializer names.
    """
    hints = payload.get("changes", payload.get("before_update"))
    if not isinstance(hints, dict) or not hints:
        return True
    return bool({"state", "stage", "status", "assignee", "assignee_id"} & hints.keys())
