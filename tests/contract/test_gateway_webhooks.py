"""Webhooks: made once, signed, pinged."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Mapping

from tests.contract.conftest import LABELS
from tests.contract.stage import Stage, pictures
from tests.patience import patience

SECRET = "between CVAT and us"


def test_a_webhook_is_made_once_and_listens_to_jobs(stage: Stage):
    project = stage.add_project([])
    target = stage.webhook_target()

    made = stage.gateway.ensure_webhook(project, target, SECRET)
    again = stage.gateway.ensure_webhook(project, target, SECRET + "!")

    assert again == made
    assert stage.gateway.webhooks(project) == (made,)
    assert (made.target_url, made.is_active) == (target, True)
    assert "update:job" in made.events


def test_a_ping_returns_what_the_target_answered(stage: Stage):
    hook = stage.gateway.ensure_webhook(stage.add_project([]), stage.webhook_target(), SECRET)

    assert stage.gateway.ping_webhook(hook.id) == 200


def test_deliveries_are_signed_over_their_raw_body(stage: Stage):
    """A ping and a finished job arrive, each signed with the project's secret."""
    before = len(stage.deliveries())
    project = stage.add_project(LABELS)
    hook = stage.gateway.ensure_webhook(project, stage.webhook_target(), SECRET)
    stage.gateway.ping_webhook(hook.id)
    (job,) = stage.gateway.jobs(task_id=stage.add_task(project, pictures(1)))
    stage.gateway.update_job(job.id, state="completed")

    events = _await(stage, before, {"ping", "update:job"})

    for headers, body in events.values():
        expected = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["x-signature-256"] == f"sha256={expected}"
    finished = json.loads(events["update:job"][1])
    assert finished["job"]["id"] == job.id
    assert finished["job"]["state"] == "completed"


def _await(
    stage: Stage, before: int, wanted: set[str]
) -> dict[str, tuple[Mapping[str, str], bytes]]:
    until = time.monotonic() + patience(30)
    while time.monotonic() < until:
        events = {
            json.loads(body)["event"]: (headers, body)
            for headers, body in stage.deliveries()[before:]
        }
        if wanted <= set(events):
            return {name: events[name] for name in wanted}
        time.sleep(0.1)
    raise AssertionError(f"{wanted} did not all arrive: {sorted(events)}")
