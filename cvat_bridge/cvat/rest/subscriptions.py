"""The webhooks of a project as CVAT keeps them."""

from __future__ import annotations

import logging
from typing import Any

from cvat_bridge.cvat.gateway import Webhook
from cvat_bridge.cvat.rest import leases, raw
from cvat_bridge.cvat.rest.connection import Connection
from cvat_bridge.cvat.rest.retries import once

log = logging.getLogger(__name__)

# Every save and every stage or state change of a job touches the job. Tasks say nothing more.
EVENTS = ("create:job", "delete:job", "update:job")


def read(net: Connection, project_id: int) -> tuple[Webhook, ...]:
    """Read the webhooks of a project, without those that are leases."""
    rows = leases.webhooks_of(net, project_id)
    return tuple(raw.webhook(row) for row in rows if leases.holder_of(row) is None)


def ensure(net: Connection, project_id: int, target_url: str, secret: str) -> Webhook:
    """Make the webhook, or bring the one of this address up to date (secret, events, active)."""
    body: dict[str, Any] = {
        "target_url": target_url,
        "description": "cvat-bridge",
        "type": "project",
        "project_id": project_id,
        "content_type": "application/json",
        "secret": secret,
        "is_active": True,
        "enable_ssl": True,
        "events": list(EVENTS),
    }
    subject = f"webhook of project {project_id} to {target_url}"

    def same_address() -> list[Webhook]:
        return [hook for hook in read(net, project_id) if hook.target_url == target_url]

    def look() -> Webhook | None:
        same = same_address()
        if not same:
            return None
        path = f"/api/webhooks/{same[0].id}"
        return raw.webhook(net.call("PUT", path, "change", subject, body=body))

    def make() -> Webhook:
        answer = net.call("POST", "/api/webhooks", "make", subject, body=body, repeatable=False)
        return raw.webhook(answer)

    def tidy(kept: Webhook) -> None:
        for hook in same_address():
            if hook.id != kept.id:
                log.warning("%s was made twice: %d is deleted", subject, hook.id)
                net.call("DELETE", f"/api/webhooks/{hook.id}", "delete", subject)

    return once(net.patience, look, make, tidy=tidy)


def ping(net: Connection, webhook_id: int) -> int:
    """Let CVAT deliver a ping; the status its target gave, 0 without a connection."""
    answer = net.call("POST", f"/api/webhooks/{webhook_id}/ping", "ping", f"webhook {webhook_id}")
    status = int(answer.get("status_code") or 0)
    # CVAT notes a failed connection as 502 with the text of its HTTP library's exception.
    refused = status == 502 and "Connection" in str(answer.get("response") or "")
    return 0 if refused else status
