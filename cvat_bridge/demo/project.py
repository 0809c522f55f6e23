"""What a manager does before the loop: a project, a task with all images, the holdout."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cvat_sdk import Client, Config
from cvat_sdk.core.client import AccessTokenCredentials
from cvat_sdk.core.proxies.tasks import ResourceType

from cvat_bridge.demo.annotator import drawn
from cvat_bridge.demo.calls import Calls, RetryCallback, ignore_retries
from cvat_bridge.demo.ground_truth import GroundTruth

JOB_SIZE = 25


@dataclass(frozen=True)
class Prepared:
    """A project that waits for its loop.

    labels: CVAT's label id by name. frames: the file of each frame of the task, by its number.
    """

    project_id: int
    task_id: int
    labels: Mapping[str, int]
    frames: tuple[Path, ...] = ()


def prepare(
    url: str,
    token: str,
    name: str,
    truth: GroundTruth,
    *,
    job_size: int = JOB_SIZE,
    on_retry: RetryCallback = ignore_retries,
) -> Prepared:
    """Make the project with the unmodified SDK, and finish its ground-truth job from the truth."""
    client = Client(url, config=Config(status_check_period=0.3))
    client.login(AccessTokenCredentials(token))
    with client:
        project = client.projects.create(
            {"name": name, "labels": [{"name": n, "type": "rectangle"} for n in truth.labels]}
        )
        labels = {label.name: int(label.id) for label in project.get_labels()}
        files = sorted((*truth.pool, *truth.holdout), key=lambda path: path.name)
        task = client.tasks.create_from_data(
            {"name": f"{name}: all images", "project_id": project.id, "segment_size": job_size},
            resources=files,
            resource_type=ResourceType.LOCAL,
            data_params={"image_quality": 90, "sorting_method": "lexicographical"},
        )
        calls = Calls(client.api_map.host, token=token, on_retry=on_retry)
        by_name = {path.name: path for path in files}
        frames = tuple(by_name[frame.name] for frame in task.get_meta().frames)
        judging = set(truth.holdout)
        holdout = {number: path for number, path in enumerate(frames) if path in judging}
        _judge(calls, task.id, truth, holdout, labels)
        return Prepared(int(project.id), int(task.id), labels, frames)


def _judge(
    calls: Calls,
    task_id: int,
    truth: GroundTruth,
    frames: Mapping[int, Path],
    labels: Mapping[str, int],
) -> None:
    body = {
        "type": "ground_truth",
        "task_id": task_id,
        "frame_selection_method": "manual",
        "frames": sorted(frames),
    }
    job = calls.send("/api/jobs", body, method="POST").json()
    shapes = [
        drawn(number, found, labels)
        for number, path in sorted(frames.items())
        for found in truth.objects[hashlib.sha256(path.read_bytes()).hexdigest()]
    ]
    annotations = {"version": 0, "tags": [], "shapes": shapes, "tracks": []}
    calls.send(f"/api/jobs/{job['id']}/annotations?action=create", annotations)
    calls.send(f"/api/jobs/{job['id']}", {"stage": "acceptance", "state": "completed"})
