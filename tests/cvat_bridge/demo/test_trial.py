"""`sandbox --demo`: a project to begin with, the same one after a restart."""

from __future__ import annotations

from pathlib import Path

import requests

from cvat_bridge.demo.sample_project import next_steps, seed
from cvat_bridge.sandbox import running


def test_the_project_waits_for_its_first_round_and_is_there_after_a_restart(tmp_path):
    with running(tmp_path / "sandbox") as server:
        trial = seed(server, lambda _: None)
        jobs = asked(server, "/api/jobs", project_id=trial.project_id, state="completed")
        finished = [job for job in jobs if job["type"] == "annotation"]
        shapes = asked(server, f"/api/jobs/{finished[0]['id']}/annotations")["shapes"]
        lines = next_steps(server, trial, config=Path("trial/cvat-bridge.yaml"))

    with running(tmp_path / "sandbox") as again:
        second = seed(again, lambda _: None)
        projects = asked(again, "/api/projects")

    assert len(finished) == 2
    assert shapes
    assert trial.labelled == sum(job["frame_count"] for job in finished) == 50
    assert (second, len(projects)) == (trial, 1)
    assert again.admin_token == server.admin_token
    assert any(f"/projects/{trial.project_id}" in line for line in lines)
    assert server.admin_token in "\n".join(lines)


def asked(server, path, **params):
    headers = {"Authorization": f"Bearer {server.admin_token}"}
    answer = requests.get(server.url + path, headers=headers, params=params, timeout=60)
    answer.raise_for_status()
    content = answer.json()
    return content.get("results", content)
