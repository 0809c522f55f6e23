"""A box model in CVAT's own menu, on labels of type mask and polygon: through sandbox and host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import requests
from cvat_sdk.core.client import Client
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.sandbox import Sandbox, running
from serverless.host.server import running as hosting
from tests.cvat_bridge.sandbox.conftest import connected
from tests.cvat_bridge.test_masks import LABELS, NAMES, check
from tests.fakes.ellipses import ellipses

SCENE = ellipses()
HEIGHT, WIDTH = SCENE.pixels.shape[:2]


def told(folder: Path) -> Path:
    """Write a network that finds the scene's boxes in any image, and its card."""
    boxes = np.array([SCENE.boxes], np.float32)
    scores = np.array([[0.9, 0.8, 0.7]], np.float32)
    constants = {"b": boxes, "s": scores, "classes": np.array([[0, 1, 2]], np.int64)}
    nodes = [
        helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))
        for name, value in {**constants, "nothing": np.float32(0)}.items()
    ]
    nodes += [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
        helper.make_node("Add", ["b", "zero"], ["boxes"]),
        helper.make_node("Add", ["s", "zero"], ["scores"]),
    ]
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 3, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3]),
        helper.make_tensor_value_info("classes", TensorProto.INT64, [1, 3]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])
    graph = helper.make_graph(nodes, "told", [image], outputs)
    path = folder / "told.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    (folder / "told.yaml").write_text(
        f"task: boxes\nlabels: [{', '.join(NAMES)}]\ninput: {{size: [{HEIGHT}, {WIDTH}]}}\n"
        "outputs: {boxes: boxes, scores: scores, classes: classes}\nmin_score: 0.5\n"
    )
    return path


@dataclass
class World:
    sandbox: Sandbox
    client: Client
    folder: Path
    project: int
    task: int
    names: dict[int, str]

    def add(self, *more: str, as_json: bool = True) -> Any:
        words = ["models", "add", str(self.folder / "told.onnx"), "--card"]
        words += [str(self.folder / "told.yaml"), "--config", str(self.folder / "bridge.yaml")]
        done = CliRunner().invoke(app, [*words, *more, *(["--json"] if as_json else [])])
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout) if as_json else done.stdout

    def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = requests.request(
            method,
            f"{self.sandbox.url}/api/lambda/{path}",
            headers={"Authorization": f"Bearer {self.sandbox.admin_token}"},
            timeout=60,
            **more,
        )
        assert answer.ok, answer.text
        return answer.json()

    def shapes(self, function: str, **more: Any) -> list[dict[str, Any]]:
        """Return what CVAT's editor shows of a call; masks in the form that CVAT stores."""
        body = {"task": self.task, "frame": 0, **more}
        found: list[dict[str, Any]] = self.ask("POST", f"functions/{function}", json=body)["shapes"]
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("masks")
    frame = folder / "frame.png"
    frame.write_bytes(SCENE.content)
    told(folder)
    labels = [{"name": name, "type": kind} for name, kind in LABELS]
    with (
        hosting(folder / "home" / "functions", log=folder / "host.log") as host,
        running(folder / "cvat", function_host=host) as sandbox,
        connected(sandbox) as client,
        pytest.MonkeyPatch.context() as environment,
    ):
        project = client.projects.create({"name": "p", "labels": labels})
        spec = {"name": "t", "project_id": project.id}
        task = client.tasks.create_from_data(spec, [frame], data_params={"image_quality": 90})
        values = {"home": "home", "cvat": {"url": sandbox.url}, "function_host": {"url": host}}
        (folder / "bridge.yaml").write_text(json.dumps(values))
        environment.setenv("CVAT_ACCESS_TOKEN", sandbox.admin_token)
        names = {label.id: label.name for label in project.get_labels()}
        yield World(sandbox, client, folder, project.id, task.id, names)


def test_for_a_project_the_menu_answers_masks_and_polygons(world: World) -> None:
    """The types that CVAT matches by are declared, and the answers are of the objects."""
    made = world.add("--name", "shapes", "--project", str(world.project))

    assert made["shapes"] == (
        "boxes become polygons (labels outline) and masks (labels round) by the shipped interactor;"
        " a box without an object in it is left out"
    )
    assert made["shape_by_label"] == dict(LABELS)
    assert made["sample"]["objects"] == 3
    (row,) = [row for row in world.ask("GET", "functions") if row["id"] == "shapes"]
    assert {label["name"]: label["type"] for label in row["labels_v2"]} == dict(LABELS)
    check(world.shapes("shapes"), world.names)


def test_without_a_project_boxes_stay_rectangles_and_people_are_told(world: World) -> None:
    said = world.add("--name", "plain", as_json=False)

    assert "people get rectangles for " in said
    assert "boxes are answered as rectangles" in said
    assert "--project" in said
    assert {shape["type"] for shape in world.shapes("plain")} == {"rectangle"}


def test_a_model_that_is_shown_for_a_project_later_becomes_one_of_masks(world: World) -> None:
    """By `promote --project`; calls go on being answered while the interactor loads."""
    world.add("--name", "later")
    words = ["models", "promote", "later", "--project", str(world.project)]
    done = CliRunner().invoke(app, [*words, "--config", str(world.folder / "bridge.yaml")])

    assert done.exit_code == 0, done.output
    assert "boxes become polygons" in done.output
    check(world.shapes("later"), world.names)
