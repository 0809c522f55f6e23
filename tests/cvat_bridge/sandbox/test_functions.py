"""Functions of the host run from the sandbox as CVAT runs Nuclio's."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from cvat_sdk.core.client import Client

from cvat_bridge.sandbox import Sandbox, running
from tests.contract.host import Host

LABELS = [{"name": "car", "type": "rectangle"}, {"name": "tree", "type": "mask"}]


@pytest.fixture(scope="module")
def api(sandbox: Sandbox) -> requests.Session:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {sandbox.admin_token}"
    return session


def _batch(api: requests.Session, url: str, body: dict[str, Any]) -> dict[str, Any]:
    made = api.post(f"{url}/api/lambda/requests", json=body, timeout=120)
    assert made.status_code == 200, made.text
    path = f"{url}/api/lambda/requests/{made.json()['id']}"
    end = time.monotonic() + 30
    while time.monotonic() < end:
        state: dict[str, Any] = api.get(path, timeout=120).json()
        if state["status"] in {"finished", "failed"}:
            return state
        time.sleep(0.05)
    raise AssertionError("the batch did not end")


def test_a_batch_annotates_every_frame_that_is_not_deleted(
    client: Client, sandbox: Sandbox, api: requests.Session, host: Host, images: tuple[Path, ...]
) -> None:
    """Boxes and masks come as auto shapes; the host gets the original file and Nuclio's headers."""
    task = client.tasks.create_from_data(
        {"name": "batch", "labels": LABELS}, list(images[:3]), data_params={"image_quality": 70}
    )
    task.remove_frames_by_ids([1])
    host.invoked.clear()

    state = _batch(
        api, sandbox.url, {"function": "toy-detector", "task": task.id, "threshold": 0.5}
    )

    shapes = task.get_annotations().shapes
    assert state["status"] == "finished"
    assert sorted((shape.frame, str(shape.type)) for shape in shapes) == [
        (0, "mask"), (0, "rectangle"), (2, "mask"), (2, "rectangle")
    ]  # fmt: skip
    assert {shape.source for shape in shapes} == {"auto"}
    headers, body = host.invoked[0]
    assert base64.b64decode(body["image"]) == images[0].read_bytes()
    assert body["threshold"] == 0.5
    assert headers["x-nuclio-function-name"] == "toy-detector"
    assert headers["x-nuclio-project-name"] == "cvat"


def test_without_a_host_the_list_is_unavailable(tmp_path: Path) -> None:
    """A host that is down is a 503, not an empty list."""
    with running(tmp_path, function_host="http://127.0.0.1:9") as sandbox:
        answer = requests.get(
            f"{sandbox.url}/api/lambda/functions",
            headers={"Authorization": f"Bearer {sandbox.admin_token}"},
            timeout=120,
        )

    assert answer.status_code == 503
