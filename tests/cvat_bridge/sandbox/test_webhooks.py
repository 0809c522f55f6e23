"""Webhooks leave signed, once committed, with the noise of a real server."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cvat_sdk.core.client import Client

from cvat_bridge.sandbox import Sandbox
from tests.contract.target import Target, listening

SECRET = "hush"


@pytest.fixture
def target() -> Iterator[Target]:
    with listening() as found:
        yield found


@pytest.fixture
def api(sandbox: Sandbox) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {sandbox.admin_token}"
    return session


def _waited(target: Target, event: str, count: int = 1) -> list[dict[str, Any]]:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = [body for body in target.bodies() if body["event"] == event]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{event} came {len(found)} times, waited for {count}")


def _hooked_job(
    client: Client, api: requests.Session, url: str, target: Target, images: tuple[Path, ...]
) -> tuple[int, int]:
    project = client.projects.create(
        {"name": "hooked", "labels": [{"name": "car", "type": "rectangle"}]}
    )
    task = client.tasks.create_from_data(
        {"name": "t", "project_id": project.id}, [images[0]], data_params={"image_quality": 70}
    )
    hook = {
        "target_url": f"{target.url}/hook",
        "type": "project",
        "project_id": project.id,
        "secret": SECRET,
        "events": ["update:job", "update:task", "update:project"],
    }
    assert api.post(f"{url}/api/webhooks", json=hook, timeout=120).status_code == 201
    return task.get_jobs()[0].id, task.get_labels()[0].id


def test_a_state_change_is_told_signed(
    client: Client, sandbox: Sandbox, api: requests.Session, target: Target,
    images: tuple[Path, ...],
) -> None:  # fmt: skip
    """The body names what changed, and the signature is of its exact bytes."""
    job_id, _ = _hooked_job(client, api, sandbox.url, target, images)

    api.patch(f"{sandbox.url}/api/jobs/{job_id}", json={"state": "completed"}, timeout=120)

    told = _waited(target, "update:job")[0]
    assert told["job"]["id"] == job_id
    assert told["changes"]["state"] == {"from": "new", "to": "completed"}
    assert told["before_update"]["state"] == "new"
    assert told["sender"]["username"] == "admin"
    headers, content = target.received[0]
    digest = hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
    assert headers["X-Signature-256"] == f"sha256={digest}"


def test_an_annotation_write_touches_job_task_and_project(
    client: Client, sandbox: Sandbox, api: requests.Session, target: Target,
    images: tuple[Path, ...],
) -> None:  # fmt: skip
    """One save fires three events that say nothing but a new updated_date."""
    job_id, label_id = _hooked_job(client, api, sandbox.url, target, images)
    box = {"type": "rectangle", "frame": 0, "label_id": label_id, "points": [1, 2, 3, 4]}

    api.patch(
        f"{sandbox.url}/api/jobs/{job_id}/annotations?action=create",
        json={"shapes": [box]},
        timeout=120,
    )

    for event in ("update:job", "update:task", "update:project"):
        assert list(_waited(target, event)[0]["changes"]) == ["updated_date"]


def test_a_refused_write_tells_nothing(
    client: Client, sandbox: Sandbox, api: requests.Session, target: Target,
    images: tuple[Path, ...],
) -> None:  # fmt: skip
    """What is rolled back leaves no event: only the later, good change is told."""
    job_id, label_id = _hooked_job(client, api, sandbox.url, target, images)
    url = f"{sandbox.url}/api/jobs/{job_id}"
    bad = {"type": "rectangle", "frame": 0, "label_id": label_id + 999, "points": [1, 2, 3, 4]}

    refused = api.patch(f"{url}/annotations?action=create", json={"shapes": [bad]}, timeout=120)
    api.patch(url, json={"state": "in progress"}, timeout=120)

    told = _waited(target, "update:job")
    assert refused.status_code == 400
    assert [set(body["changes"]) for body in told] == [{"updated_date", "state"}]


def test_a_target_that_fails_is_tried_again(
    client: Client, sandbox: Sandbox, api: requests.Session, target: Target
) -> None:
    """A 500 is retried after five seconds, with the same body."""
    project = client.projects.create({"name": "failing", "labels": []})
    hook = {
        "target_url": f"{target.url}/fail",
        "type": "project",
        "project_id": project.id,
        "events": ["update:project"],
    }
    api.post(f"{sandbox.url}/api/webhooks", json=hook, timeout=120)

    api.patch(f"{sandbox.url}/api/projects/{project.id}", json={"name": "renamed"}, timeout=120)

    first, second = _waited(target, "update:project", 2)[:2]
    assert first == second
    assert first["project"]["name"] == "renamed"
