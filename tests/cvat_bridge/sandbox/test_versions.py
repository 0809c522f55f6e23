"""The sandbox answers as CVAT 2.80 where asked to, and hides honeypots as CVAT does."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.ledger import Ledger
from cvat_bridge.project.facts import gather
from cvat_bridge.sandbox import Sandbox, running
from cvat_bridge.settings import RoundSettings
from tests.contract.pictures import picture

FILES = {f"img{n}.png": picture(f"img{n}.png", (32, 24)) for n in range(6)}
LABELS = [{"name": "cell", "type": "rectangle"}]


@pytest.fixture(scope="module")
def newest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running(tmp_path_factory.mktemp("newest"), version="2.80.0") as found:
        yield found


def call(sandbox: Sandbox, method: str, path: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {sandbox.admin_token}"}
    answer = requests.request(method, sandbox.url + path, headers=headers, timeout=60, **more)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def a_task(sandbox: Sandbox, body: Mapping[str, Any], data: Mapping[str, Any]) -> tuple[int, int]:
    """Return the ids of a project and of its one task of six images."""
    project = call(sandbox, "POST", "/api/projects", json={"name": "p", "labels": LABELS})["id"]
    made = {"name": "t", "project_id": project, "segment_size": 2, **body}
    task = call(sandbox, "POST", "/api/tasks", json=made)["id"]
    url, token = f"{sandbox.url}/api/tasks/{task}/data", sandbox.admin_token
    files = {f"client_files[{n}]": item for n, item in enumerate(FILES.items())}
    sent = requests.post(
        url,
        headers={"Authorization": f"Bearer {token}", "Upload-Multiple": ""},
        files=files,
        timeout=60,
    )
    assert sent.ok, sent.text
    call(sandbox, "POST", f"/api/tasks/{task}/data", json={"image_quality": 70, **data})
    asked = f"/api/requests/action%3Dcreate%26target%3Dtask%26target_id%3D{task}"
    until = time.monotonic() + 60
    while (state := call(sandbox, "GET", asked))["status"] != "finished":
        assert state["status"] != "failed" and time.monotonic() < until, state
    return project, task


@contextmanager
def gateway_to(sandbox: Sandbox, folder: Path) -> Iterator[CvatClient]:
    with connect(sandbox.url, token=sandbox.admin_token, cache_dir=folder) as gateway:
        yield gateway


@pytest.mark.parametrize("name", ["consensus_replicas", "initial_replicas"])
def test_replicas_of_2_80_are_known_as_such(newest: Sandbox, tmp_path: Path, name: str) -> None:
    """No consensus_enabled at the task, type replica at the job: the gateway says what it did."""
    project, task = a_task(newest, {name: 2}, {})

    told = call(newest, "GET", f"/api/tasks/{task}")
    types = {row["type"] for row in call(newest, "GET", f"/api/jobs?task_id={task}")["results"]}
    with gateway_to(newest, tmp_path) as gateway:
        version = gateway.capabilities().version
        jobs = [job.type for job in gateway.jobs(task_id=task)]
        replicas = [one.consensus_replicas for one in gateway.tasks(project)]

    assert "consensus_enabled" not in told
    assert types == {"annotation", "replica"}
    assert version == (2, 80, 0)
    assert (jobs.count("annotation"), jobs.count("consensus_replica")) == (3, 6)
    assert replicas == [2]


def test_honeypots_show_ground_truth_frames_again_and_are_never_chosen(
    newest: Sandbox, tmp_path: Path
) -> None:
    hidden = {
        "mode": "gt_pool",
        "frame_selection_method": "manual",
        "frames": ["img1.png", "img3.png"],
        "frames_per_job_count": 1,
    }
    project, task = a_task(newest, {}, {"sorting_method": "random", "validation_params": hidden})

    layout = call(newest, "GET", f"/api/tasks/{task}/validation_layout")
    with gateway_to(newest, tmp_path) as gateway, Ledger(tmp_path / "ledger.db") as ledger:
        names = [frame.name for frame in gateway.media(task).frames]
        ranges = [(job.type, job.start_frame, job.stop_frame) for job in gateway.jobs(task_id=task)]
        facts = gather(gateway, ledger, project, RoundSettings())

    assert ranges == [("annotation", 0, 2), ("annotation", 3, 5), ("ground_truth", 6, 7)]
    assert names[6:] == ["img1.png", "img3.png"]
    assert (layout["validation_frames"], layout["honeypot_count"]) == ([6, 7], 2)
    shown = dict(zip(layout["honeypot_frames"], layout["honeypot_real_frames"], strict=True))
    assert {names[frame] for frame in shown} <= {"img1.png", "img3.png"}
    assert all(names[frame] == names[real] for frame, real in shown.items())
    assert sorted(frame.name for frame in facts.pool) == [f"img{n}.png" for n in (0, 2, 4, 5)]
    assert facts.reserved == {f"{task}/{n}" for n in (6, 7, *shown)}


def test_honeypots_in_another_order_are_refused(newest: Sandbox) -> None:
    hidden = {
        "mode": "gt_pool",
        "frame_selection_method": "random_uniform",
        "frame_count": 2,
        "frames_per_job_count": 1,
    }

    with pytest.raises(AssertionError, match='can only be used with \\\\?"random'):
        a_task(newest, {}, {"validation_params": hidden})
