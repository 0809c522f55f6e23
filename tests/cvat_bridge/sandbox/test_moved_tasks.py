"""A task with a step, its ground-truth job, and its move to another project: as CVAT does it."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from cvat_bridge.cvat.client import connect
from cvat_bridge.sandbox.process import Sandbox

LABELS = [{"name": "x", "type": "rectangle"}]


def ask(sandbox: Sandbox, method: str, path: str, body: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {sandbox.admin_token}"}
    return requests.request(method, sandbox.url + path, json=body, headers=headers, timeout=120)


def made(sandbox: Sandbox, path: str, body: Any) -> int:
    answer = ask(sandbox, "POST", path, body)
    answer.raise_for_status()
    return int(answer.json()["id"])


def a_task(sandbox: Sandbox, project: int, filters: Mapping[str, str]) -> int:
    task = made(sandbox, "/api/tasks", {"name": "t", "project_id": project})
    files = []
    for n in range(12):
        content = io.BytesIO()
        Image.new("RGB", (32, 24), (n * 20, 0, 0)).save(content, "PNG")
        files.append((f"client_files[{n}]", (f"{n:02d}.png", content.getvalue())))
    requests.post(
        f"{sandbox.url}/api/tasks/{task}/data/",
        data={"image_quality": "70", **filters},
        files=files,
        headers={"Authorization": f"Bearer {sandbox.admin_token}"},
        timeout=120,
    ).raise_for_status()
    for _ in range(100):
        if ask(sandbox, "GET", f"/api/tasks/{task}").json()["size"]:
            return task
        time.sleep(0.1)
    raise AssertionError("the task got no frames")


@pytest.mark.parametrize(
    ("filters", "source"),
    [
        ({}, [1, 3]),
        ({"start_frame": "2"}, [3, 5]),
        ({"frame_filter": "step=3", "start_frame": "1", "stop_frame": "10"}, [4, 10]),
        ({"frame_filter": "step=2"}, [2, 6]),
    ],
)
def test_a_ground_truth_job_lists_frames_of_the_source(
    sandbox: Sandbox, tmp_path: Path, filters: Mapping[str, str], source: list[int]
) -> None:
    project = made(sandbox, "/api/projects", {"name": "a", "labels": LABELS})
    task = a_task(sandbox, project, filters)
    chosen = {"type": "ground_truth", "frame_selection_method": "manual", "frames": [1, 3]}
    job = made(sandbox, "/api/jobs", {**chosen, "task_id": task})

    listed = ask(sandbox, "GET", f"/api/jobs/{job}/data/meta").json()["included_frames"]
    with connect(sandbox.url, token=sandbox.admin_token, cache_dir=tmp_path) as gateway:
        held = sorted(gateway.job_media(job).included)

    assert (listed, held) == (source, [1, 3])


def test_a_moved_task_takes_its_annotations_along(sandbox: Sandbox) -> None:
    first = made(sandbox, "/api/projects", {"name": "a", "labels": LABELS})
    second = made(sandbox, "/api/projects", {"name": "b", "labels": LABELS})
    task = a_task(sandbox, first, {})
    label = ask(sandbox, "GET", f"/api/labels?task_id={task}").json()["results"][0]["id"]
    shape = {"type": "rectangle", "frame": 0, "label_id": label, "points": [1, 2, 9, 9]}
    ask(
        sandbox,
        "PUT",
        f"/api/tasks/{task}/annotations",
        {"shapes": [shape], "tags": [], "tracks": []},
    )

    moved = ask(sandbox, "PATCH", f"/api/tasks/{task}", {"project_id": second})

    assert (moved.status_code, moved.json()["project_id"]) == (200, second)
    (now,) = ask(sandbox, "GET", f"/api/labels?project_id={second}").json()["results"]
    (kept,) = ask(sandbox, "GET", f"/api/tasks/{task}/annotations").json()["shapes"]
    assert kept["label_id"] == now["id"] != label


def test_a_task_does_not_move_where_its_labels_are_not(sandbox: Sandbox) -> None:
    first = made(sandbox, "/api/projects", {"name": "a", "labels": LABELS})
    other = made(sandbox, "/api/projects", {"name": "b", "labels": [{"name": "y"}]})
    task = a_task(sandbox, first, {})

    refused = ask(sandbox, "PATCH", f"/api/tasks/{task}", {"project_id": other})

    assert refused.status_code == 400 and "'x'" in refused.text
    assert ask(sandbox, "PATCH", f"/api/tasks/{task}", {"project_id": 999}).status_code == 404
    assert ask(sandbox, "GET", f"/api/tasks/{task}").json()["project_id"] == first
