"""`cvat-bridge annotate` as a process, on a server over HTTP, with a real network."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from PIL import Image
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.errors import NothingToDoError
from cvat_bridge.sandbox import Sandbox
from tests.contract.pictures import video
from tests.patience import patience
from tests.serverless.bright_spots import SIDE, bright_spots, picture
from trainer.bundles.bundle import Bundle

CONFIDENCE = {
    "name": "confidence", "input_type": "number", "mutable": False, "default_value": "0",
    "values": ["0", "100", "1"],
}  # fmt: skip
LABELS = [
    {"name": "red", "type": "rectangle", "attributes": [CONFIDENCE]},
    {"name": "green", "type": "polygon", "attributes": []},
]
SPOTS = [(1, 1, 0), (4, 4, 1)]  # a red and a green cell


@dataclass
class World:
    """The server, the model, and the command."""

    sandbox: Sandbox
    bundle: Bundle
    config: Path

    def api(self, method: str, path: str, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.sandbox.admin_token}"}
        answer = requests.request(
            method, self.sandbox.url + path, headers=headers, timeout=120, **more
        )
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def task(
        self,
        images: Sequence[bytes],
        *,
        labels: Sequence[dict[str, Any]] = LABELS,
        suffix: str = "png",
        **fields: Any,
    ) -> int:
        """Make a task of these files; fields of the task or of its data."""
        own = {k: fields.pop(k) for k in ("segment_size", "overlap") if k in fields}
        if "project" in fields:
            own["project_id"] = fields.pop("project")
        else:
            own["labels"] = list(labels)
        number = self.api("POST", "/api/tasks", json={"name": "t", **own})
        parts = {
            f"client_files[{n}]": (f"frame_{n:03}.{suffix}", content)
            for n, content in enumerate(images)
        }
        form = {"image_quality": 70, **fields}
        begun = self.api("POST", f"/api/tasks/{number['id']}/data", data=form, files=parts)
        path = f"/api/requests/{requests.utils.quote(begun['rq_id'], '')}"
        while (state := self.api("GET", path))["status"] != "finished":
            assert state["status"] != "failed", state
            time.sleep(0.05)
        return int(number["id"])

    def jobs(self, task_id: int) -> list[int]:
        rows = self.api("GET", f"/api/jobs?task_id={task_id}&page_size=100")["results"]
        return sorted(row["id"] for row in rows)

    def shapes(self, task_id: int) -> list[dict[str, Any]]:
        return [
            shape
            for job in self.jobs(task_id)
            for shape in self.api("GET", f"/api/jobs/{job}/annotations")["shapes"]
        ]

    def start(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "cvat_bridge.cli", "annotate", "-c", str(self.config)),
                *("--model", str(self.bundle.path), "--json", *options),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "CVAT_ACCESS_TOKEN": self.sandbox.admin_token,
                "OMP_NUM_THREADS": "1",
            },
        )

    def run(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Run the command to its end: exit code, its answer, what it said on stderr."""
        process = self.start(*options)
        answer, said = process.communicate(timeout=60)
        return process.returncode, json.loads(answer) if answer.strip() else {}, said


@pytest.fixture(scope="module")
def world(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("annotate")
    config = folder / "cvat-bridge.yaml"
    config.write_text(yaml.safe_dump({"home": "home", "cvat": {"url": sandbox.url}}))
    return World(sandbox, bright_spots(folder / "spots", gain=8.0), config)


def encoded(*spots: tuple[int, int, int], kind: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.fromarray(picture(*spots)).save(content, kind)
    return content.getvalue()


def test_a_task_is_annotated_with_scores_and_confidence_and_only_once(world: World) -> None:
    """Shapes fit their labels' types, carry score and attribute, and come once."""
    task = world.task([encoded(*SPOTS), encoded(), encoded((2, 6, 0))], segment_size=2)

    code, first, said = world.run("--task", str(task))
    shapes = world.shapes(task)
    again, _, _ = world.run("--task", str(task))

    assert "frames" in first, (code, first, said)
    assert (code, first["frames"], first["objects"]) == (0, 3, 3), said
    assert first["by_label"] == {"red": 2, "green": 1}
    assert sorted((s["frame"], s["type"], s["source"]) for s in shapes) == [
        (0, "polygon", "auto"), (0, "rectangle", "auto"), (2, "rectangle", "auto")
    ]  # fmt: skip
    score = 1 / (1 + 2.718281828 ** -(8.0 * 0.5))
    assert [s["score"] for s in shapes] == pytest.approx([score] * 3, abs=2e-3)
    values = [s["attributes"][0]["value"] for s in shapes if s["type"] == "rectangle"]
    assert values == [str(round(100 * score))] * 2
    assert again == 3
    assert world.shapes(task) == shapes


def truncated() -> bytes:
    """A JPEG whose header is whole and whose pixels are not, as CVAT lets in."""
    content = io.BytesIO()
    Image.effect_noise((SIDE, SIDE), 90).convert("RGB").save(content, "JPEG")
    return content.getvalue()[:-60]


def test_a_cut_off_frame_is_seen_as_cvat_shows_it(world: World) -> None:
    images = [encoded(*SPOTS, kind="JPEG"), truncated(), encoded(*SPOTS, kind="JPEG")]
    task = world.task(images, suffix="jpg")

    code, ended, _ = world.run("--task", str(task), "--min-score", "0.6")

    assert (code, ended["left_out"]) == (0, [])
    assert {0, 2} <= {s["frame"] for s in world.shapes(task)}


def test_a_video_is_annotated_frame_by_frame(world: World, tmp_path: Path) -> None:
    """Shapes of single frames, on the frames asked for; the shades are bright in the end."""
    content = video(tmp_path / "film.mp4", frames=8, size=(SIDE, SIDE))
    number = world.task([content], suffix="mp4")

    code, ended, said = world.run("--task", str(number), "--frames", "5-7")

    assert (code, ended["frames"]) == (0, 3), said
    shapes = world.shapes(number)
    assert {s["frame"] for s in shapes} == {6, 7}
    assert {s["source"] for s in shapes} == {"auto"}


def test_a_label_that_cvat_lacks_is_told_before_anything_is_written(world: World) -> None:
    task = world.task([encoded(*SPOTS)], labels=[{"name": "Rot", "type": "any"}])

    refused = world.run("--task", str(task))
    code, ended, _ = world.run("--task", str(task), "--map", "red=Rot", "--map", "green=")

    assert refused[0] == 1
    assert "labels are Rot; the model's are red, green" in refused[2]
    assert (code, ended["by_label"]) == (0, {"Rot": 1})


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told"])
def test_a_run_that_is_ended_midway_goes_on_and_doubles_nothing(
    world: World, number: signal.Signals
) -> None:
    """Whatever ends it, the first pieces are in CVAT and the next run brings the rest, once."""
    count = 400
    image = encoded(*SPOTS)
    task = world.task([image] * count, segment_size=200)
    process = world.start("--task", str(task), "--batch", "1", "--cores", "1")
    deadline = time.monotonic() + patience(30)
    while not world.shapes(task) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=patience(30))
    kept = len(world.shapes(task))

    code, ended, again = world.run("--task", str(task))
    places = [(s["frame"], s["type"]) for s in world.shapes(task)]

    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), said
    assert 0 < kept < 2 * count
    assert (code, ended["stopped"]) == (0, False), again
    assert len(places) == len(set(places)) == 2 * count


def test_people_read_what_was_done_and_what_was_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words, with the jobs left alone, the classes left out, and nothing to do as code 3."""
    monkeypatch.setenv("CVAT_ACCESS_TOKEN", world.sandbox.admin_token)
    project = world.api("POST", "/api/projects", json={"name": "p", "labels": LABELS[:1]})["id"]
    task = world.task([encoded(*SPOTS)] * 2, project=project, segment_size=1)
    first, _ = world.jobs(task)
    world.api("PATCH", f"/api/jobs/{first}", json={"state": "completed"})
    given = ["--project", str(project), "--model", str(world.bundle.path), "-c", str(world.config)]

    def told(*more: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["annotate", *given, *more])
        if isinstance(result.exception, NothingToDoError):
            return 3, str(result.exception)
        return result.exit_code, result.output

    dry, done, again = told("--known-only", "--dry-run"), told("--known-only"), told("--known-only")

    assert dry[0] == 0
    assert "1 frames are due" in dry[1]
    assert "1 objects on 1 frames (1 red)" in done[1]
    assert (
        "class green: 1 objects not written: CVAT has no such label; add one to the task or "
        "project, or give --map green=LABEL" in done[1]
    )
    assert f"job {first} is left alone: it is completed" in done[1]
    assert again[0] == 3
    assert [shape["frame"] for shape in world.shapes(task)] == [1]


@pytest.mark.parametrize(
    "options",
    [
        ["--task", "1", "--project", "1"],
        [],
        ["--task", "1", "--min-score", "1.5"],
        ["--task", "1", "--frames", "3-1"],
        ["--task", "1", "--map", "red"],
    ],
)
def test_wrong_use_is_told_before_cvat_is_asked(world: World, options: list[str]) -> None:
    given = ["annotate", "--model", "m", "-c", str(world.config), *options]

    assert CliRunner().invoke(app, given).exit_code == 2
