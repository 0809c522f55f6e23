"""The unmodified cvat-cli works against the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from cvat_sdk.core.client import Client

from cvat_bridge.sandbox import Sandbox

FUNCTION = """
import cvat_sdk.auto_annotation as cvataa

spec = cvataa.DetectionFunctionSpec(labels=[cvataa.label_spec("car", 0, type="rectangle")])


def detect(context, image):
    box = cvataa.rectangle(0, [1, 2, image.width - 1, image.height - 2])
    box.score = 0.25
    return [box]
"""


def _cli(sandbox: Sandbox, *arguments: str) -> str:
    command = [sys.executable, "-m", "cvat_cli", "--server-host", sandbox.url, *arguments]
    done = subprocess.run(
        command,
        env={**os.environ, "CVAT_ACCESS_TOKEN": sandbox.admin_token},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_project_and_a_task_are_made_listed_and_annotated(
    sandbox: Sandbox, client: Client, images: tuple[Path, ...], tmp_path: Path
) -> None:
    """The CLI creates, lists and runs a function over a task; its boxes keep their score."""
    labels = json.dumps([{"name": "car", "type": "rectangle"}])
    _cli(sandbox, "project", "create", "from cli", "--labels", labels)
    project = client.projects.list()[0]
    paths = [str(path) for path in images[:2]]
    _cli(sandbox, "task", "create", "cli task", "--project_id", str(project.id),
         "--completion_verification_period", "1", "local", *paths)  # fmt: skip
    task = project.get_tasks()[0]
    function = tmp_path / "function.py"
    function.write_text(FUNCTION)
    _cli(sandbox, "task", "auto-annotate", str(task.id), "--function-file", str(function))

    names = json.loads(_cli(sandbox, "task", "ls", "--json"))
    shapes = task.get_annotations().shapes

    assert project.name == "from cli"
    assert "cli task" in [entry["name"] for entry in names]
    assert [(shape.frame, shape.points, shape.source) for shape in shapes] == [
        (0, [1.0, 2.0, 63.0, 46.0], "auto"),
        (1, [1.0, 2.0, 63.0, 46.0], "auto"),
    ]
    assert {shape.score for shape in shapes} == {0.25}


@pytest.mark.parametrize("read_only", [True, False])
def test_a_token_may_write_only_if_it_was_made_so(sandbox: Sandbox, read_only: bool) -> None:
    """A read-only token reads, and its writes are a 403."""
    made = requests.post(
        f"{sandbox.url}/api/auth/access_tokens",
        json={"name": "t", "read_only": read_only},
        auth=(sandbox.admin.username, sandbox.admin.password),
        timeout=120,
    ).json()
    headers = {"Authorization": f"Bearer {made['value']}"}

    read = requests.get(f"{sandbox.url}/api/projects", headers=headers, timeout=120)
    written = requests.post(
        f"{sandbox.url}/api/projects", json={"name": "p"}, headers=headers, timeout=120
    )

    assert read.status_code == 200
    assert written.status_code == (403 if read_only else 201)
