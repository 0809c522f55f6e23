"""From a file on disk to an answer in CVAT: the real command line, function host and sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from cvat_sdk.core.client import Client
from PIL import Image
from typer.testing import CliRunner

from cvat_bridge.cli.app import app
from cvat_bridge.sandbox import Sandbox, running
from serverless.host.server import running as hosting
from serverless.store.functions import entries
from tests.cvat_bridge.sandbox.conftest import connected
from tests.trainer.importing.networks import CARD, picture, stranger, yolo
from trainer.errors import TrainerError
from trainer.importing import ImportRequest, import_model, sandboxed_process
from trainer.registry.registry import Registry

RED, GREEN = (2, 3, 0), (5, 6, 1)


@dataclass
class Setting:
    """A sandbox with one task, a function host behind it, and the configuration of a bridge."""

    sandbox: Sandbox
    host: str
    folder: Path
    task: int
    project: int
    labels: dict[int, str]

    @property
    def config(self) -> Path:
        return self.folder / "bridge.yaml"

    def run(self, *words: object) -> Any:
        """Run `cvat-bridge models …` in this process and return its JSON."""
        done = CliRunner().invoke(app, ["models", *map(str, words), *self.options, "--json"])
        if done.exception is not None:
            raise done.exception
        return json.loads(done.stdout)

    @property
    def options(self) -> list[str]:
        return ["--config", str(self.config)]

    def offered(self) -> dict[str, Any]:
        answer = self._ask("GET", "functions")
        return {row["id"]: row for row in answer}

    def answer(self, model: str, **more: Any) -> list[tuple[str, list[float]]]:
        """Return (label, points) of what CVAT's editor would show on the frame."""
        body = {"task": self.task, "frame": 0, **more}
        shapes = self._ask("POST", f"functions/{model}", json=body)["shapes"]
        return [(self.labels[shape["label_id"]], shape["points"]) for shape in shapes]

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        answer = requests.request(
            method,
            f"{self.sandbox.url}/api/lambda/{path}",
            headers={"Authorization": f"Bearer {self.sandbox.admin_token}"},
            timeout=60,
            **more,
        )
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("models")
    store = folder / "home" / "functions"
    store.mkdir(parents=True)
    image = folder / "frame.png"
    Image.fromarray(picture(RED, GREEN)).save(image)
    labels = [{"name": "red", "type": "rectangle"}, {"name": "blue", "type": "rectangle"}]
    with (
        hosting(store, log=folder / "host.log") as host,
        running(folder / "sandbox", function_host=host) as sandbox,
        connected(sandbox) as client,
        pytest.MonkeyPatch.context() as environment,
    ):
        project = client.projects.create({"name": "p", "labels": labels})
        task = _task(client, project.id, image)
        values = {"home": "home", "cvat": {"url": sandbox.url}, "function_host": {"url": host}}
        (folder / "bridge.yaml").write_text(json.dumps(values))
        environment.setenv("CVAT_ACCESS_TOKEN", sandbox.admin_token)
        named = {label.id: label.name for label in project.get_labels()}
        yield Setting(sandbox, host, folder, task, project.id, named)


def _task(client: Client, project: int, image: Path) -> int:
    spec = {"name": "t", "project_id": project}
    return int(client.tasks.create_from_data(spec, [image], data_params={"image_quality": 90}).id)


def test_an_onnx_is_listed_in_cvat_and_answers_at_once(setting: Setting, tmp_path: Path) -> None:
    sample = setting.folder / "frame.png"
    made = setting.run("add", yolo(tmp_path / "Cell finder.onnx"), "--sample", sample)

    assert (made["id"], made["name"], made["number"]) == ("cell-finder", "Cell finder", 1)
    assert made["host"]["listed"]
    assert made["host"]["answers"]
    assert made["sample"]["objects"] == 2
    row = setting.offered()["cell-finder"]
    assert (row["name"], row["kind"]) == ("Cell finder", "detector")
    assert [label["name"] for label in row["labels_v2"]] == ["red", "green"]
    assert setting.answer("cell-finder") == [("red", [24, 16, 32, 24])]
    (listed,) = [row for row in setting.run("list") if row["id"] == "cell-finder"]
    assert (listed["state"], listed["number"], listed["task"]) == ("serving", 1, "boxes")
    assert listed["figures"] == {}
    assert listed["licence"].startswith("AGPL-3.0")  # what the file says of itself


@pytest.mark.skipif(
    not sandboxed_process.sandbox_available(), reason="this system forbids namespaces"
)
def test_weights_of_ultralytics_pass_from_the_command_line_into_cvat(
    setting: Setting, tmp_path: Path
) -> None:
    """A .pt as `yolo train` leaves it, made in a process of its own as ultralytics makes it."""
    script = (
        "from trainer.backends.yolo.offline import isolate; isolate()\n"
        "from ultralytics import YOLO; import torch\n"
        "model = YOLO('yolo11n.yaml').model\n"
        "model.names = {0: 'red', 1: 'green', **{n: f'c{n}' for n in range(2, 80)}}\n"
        "torch.save({'model': model.half(), 'train_args': {'imgsz': 96}}, 'best.pt')"
    )
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(sandboxed_process.ROOT)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=quiet, check=True)
    command = [
        sys.executable,
        "-m",
        "cvat_bridge.cli",
        "models",
        "add",
        str(tmp_path / "best.pt"),
    ]
    done = subprocess.run(
        [*command, "--name", "Ours", *setting.options],
        env=quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "listed and answering" in done.stdout
    assert setting.offered()["ours"]["name"] == "Ours"
    assert setting.answer("ours") == []  # it has learnt nothing, and says so in a whole call
    page = setting.run("show", "ours")
    assert (page["engine"], page["task"], page["input_size"]) == ("yolo", "boxes", [96, 96])
    assert list(page["provenance"]["base"]["sha256"]) == ["best.pt"]


def test_names_in_other_scripts_are_models_of_their_own(setting: Setting, tmp_path: Path) -> None:
    """Two names that differ only in letters an id cannot hold must not become one model."""
    made = [
        setting.run("add", yolo(tmp_path / f"{name}.onnx", gain=gain))
        for name, gain in (("汽车 1", 30.0), ("行人 1", 31.0), ("Café", 32.0))
    ]
    assert made[2]["id"] == "cafe"
    assert made[0]["id"] != made[1]["id"]
    assert [one["number"] for one in made] == [1, 1, 1]
    offered = setting.offered()
    assert [offered[one["id"]]["name"] for one in made] == ["汽车 1", "行人 1", "Café"]


def test_a_second_version_replaces_the_first_and_a_rollback_brings_it_back(
    setting: Setting, tmp_path: Path
) -> None:
    def label(first: str = "red") -> list[str]:
        mapping = {first: {"name": "red" if first == "red" else "blue"}}
        return [name for name, _ in setting.answer("colours", mapping=mapping)]

    setting.run("add", yolo(tmp_path / "colours.onnx"))
    assert label() == ["red"]
    second = yolo(tmp_path / "second.onnx", ("rouge", "vert"))

    made = setting.run("add", second, "--name", "Colours")
    assert made["number"] == 2
    assert label("rouge") == ["blue"]
    assert setting.run("rollback", "colours")["number"] == 1
    assert label() == ["red"]
    assert setting.run("promote", "colours", "2")["number"] == 2
    assert label("rouge") == ["blue"]
    page = setting.run("show", "colours")
    assert [row["action"] for row in page["registry"]["served"]] == ["promote", "promote"]
    again = setting.run("add", second, "--name", "Colours")
    assert (again["number"], again["new"]) == (2, False)


def test_a_removed_model_is_gone_from_cvat_and_from_disk(setting: Setting, tmp_path: Path) -> None:
    made = setting.run("add", yolo(tmp_path / "short.onnx", gain=21.0), "--name", "short lived")
    bundle = setting.folder / "home" / "bundles" / made["version"]
    assert bundle.is_dir()

    setting.run("remove", "short-lived", "--keep-versions")
    assert "short-lived" not in setting.offered()
    (row,) = [row for row in setting.run("list") if row["id"] == "short-lived"]
    assert not row["offered"]
    setting.run("promote", "short-lived")
    assert "short-lived" in setting.offered()

    assert setting.run("remove", "short-lived")["deleted"] == [made["version"]]
    assert "short-lived" not in setting.offered()
    assert not bundle.exists()
    assert "short-lived" not in {row["id"] for row in setting.run("list")}


def test_for_a_project_only_its_labels_are_shown_and_the_others_are_told(
    setting: Setting, tmp_path: Path
) -> None:
    path = yolo(tmp_path / "labelled.onnx")
    made = setting.run("add", path, "--project", setting.project)
    assert made["missing_labels"] == ["green"]
    assert made["sample"]["objects"] == 1  # of the project's own frame
    assert [label["name"] for label in setting.offered()["labelled"]["labels_v2"]] == ["red"]

    strange = yolo(tmp_path / "strange.onnx", ("one", "two"))
    with pytest.raises(Exception, match="labels are red, blue; the model's are one, two"):
        setting.run("add", strange, "--project", setting.project)
    assert "strange" not in setting.offered()


def test_two_models_are_compared_on_the_same_frames(setting: Setting, tmp_path: Path) -> None:
    for name, gain in (("sharp", 20.0), ("blind", -20.0)):
        setting.run("add", yolo(tmp_path / f"{name}.onnx", gain=gain))
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    images = []
    boxes = []
    for number in range(12):
        row, column = divmod(number, 4)
        Image.fromarray(picture((row, column, 0))).save(data / "images" / f"{number}.png")
        images.append(
            {"id": number, "file_name": f"{number}.png", "width": 64, "height": 64, "split": "test"}
        )
        boxes.append({"id": number, "image_id": number, "category_id": 1, "area": 64, "iscrowd": 0,
                      "bbox": [column * 8, row * 8, 8, 8]})  # fmt: skip
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "green"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (data / "annotations.json").write_text(json.dumps(content))

    found = setting.run("compare", "blind", "sharp@1", "--data", data)

    assert found["challenger"]["ap"] == pytest.approx(1.0)
    assert found["champion"]["ap"] < 0.1


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("text", "not a model"),
        ("cut", "truncated"),
        ("sha256", "expected sha256"),
        ("classes", "has 2 classes (red, green), the list names 3"),
        ("twice", "is already label"),
        ("stranger", "--card"),
        ("taken", "give another --name"),
        ("sample", "sample cannot be read"),
        ("no image", "text.pt: the sample cannot be read"),
        ("no name", "no letter or digit"),
    ],
)
def test_what_cannot_be_taken_in_says_why_and_leaves_nothing(
    setting: Setting, tmp_path: Path, case: str, says: str
) -> None:
    good = yolo(tmp_path / "good.onnx")
    (tmp_path / "cut.onnx").write_bytes(good.read_bytes()[:900])
    (tmp_path / "text.pt").write_text("weights, honestly")
    (tmp_path / "three.txt").write_text("a\nb\nc")
    (tmp_path / "twice.txt").write_text("a\na")
    words = {
        "text": [tmp_path / "text.pt"],
        "cut": [tmp_path / "cut.onnx"],
        "sha256": [good, "--sha256", "0" * 64],
        "classes": [good, "--labels", tmp_path / "three.txt"],
        "twice": [good, "--labels", tmp_path / "twice.txt"],
        "stranger": [stranger(tmp_path / "stranger.onnx")],
        "taken": [good, "--name", "Extreme points"],
        "sample": [good, "--sample", tmp_path / "none.jpg"],
        "no image": [good, "--sample", tmp_path / "text.pt"],
        "no name": [good, "--name", "!?"],
    }[case]
    before = (setting.run("list"), sorted(setting.offered()), _files(setting))

    with pytest.raises(Exception, match=r".") as caught:
        setting.run("add", *words)

    assert says in str(caught.value)
    assert (setting.run("list"), sorted(setting.offered()), _files(setting)) == before


def test_a_store_that_cannot_be_written_leaves_no_version_behind(
    setting: Setting, tmp_path: Path
) -> None:
    """The last step fails: what was registered before it is taken back."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "functions").write_text("a file where the store's folder should be")
    path = yolo(tmp_path / "m.onnx")
    done = CliRunner().invoke(app, ["models", "add", str(path), "--home", str(home), "--json"])
    assert "cannot be" in str(done.exception)
    (home / "functions").unlink()
    listed = CliRunner().invoke(app, ["models", "list", "--home", str(home), "--json"])
    assert [row["id"] for row in json.loads(listed.stdout)] == ["box-to-mask", "extreme-points"]
    assert not list((home / "bundles").iterdir())


def test_the_program_ends_with_one_line_and_an_exit_code(setting: Setting, tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"")
    command = [sys.executable, "-m", "cvat_bridge.cli", "models", "add", str(path)]
    done = subprocess.run([*command, *setting.options], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "an empty file" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_broken_bundle_leaves_the_others_in_the_list(setting: Setting, tmp_path: Path) -> None:
    made = setting.run("add", yolo(tmp_path / "broken.onnx", gain=22.0))
    card = setting.folder / "home" / "bundles" / made["version"] / "card.json"
    whole = card.read_text()
    card.write_text("{")

    rows = {row["id"]: row["state"] for row in setting.run("list")}

    assert rows["broken"].startswith("broken: ")
    assert "extreme-points" in rows
    with pytest.raises(TrainerError, match=r"card\.json"):
        setting.run("show", "broken")
    card.write_text(whole)
    setting.run("remove", "broken")


def test_a_model_is_exported_as_a_folder_for_nuctl(setting: Setting, tmp_path: Path) -> None:
    made = setting.run("add", yolo(tmp_path / "travels.onnx", gain=23.0))

    packed = setting.run("export", f"travels@{made['number']}", "--to", "nuclio", tmp_path / "one")
    setting.run("export", "travels", "--to", "nuclio", tmp_path / "two", "--follow")

    assert packed["command"].startswith("nuctl deploy ")
    assert (tmp_path / "one" / "model" / "model.onnx").is_file()
    assert (
        str(setting.folder / "home" / "functions")
        in (tmp_path / "two" / "function.yaml").read_text()
    )
    with pytest.raises(Exception, match="not an empty folder"):
        setting.run("export", "travels", tmp_path / "one")


@pytest.mark.parametrize("name", ["champion", "project-{project}"])
def test_the_projects_own_model_serves_by_the_same_command(
    setting: Setting, tmp_path: Path, name: str
) -> None:
    """Two ways to promote would be one too many: the registry and what CVAT offers move as one."""
    model = name.format(project=setting.project)
    values = json.loads(setting.config.read_text())
    values["cvat"]["project"] = setting.project
    values["home"] = str(tmp_path / "home")
    path = tmp_path / "bridge.yaml"
    path.write_text(json.dumps(values))
    of_project = replace(setting, folder=tmp_path)
    key, registry = f"project-{setting.project}", Registry(None, tmp_path / "home")
    for gain in (30.0, 31.0):
        made = import_model(
            ImportRequest(yolo(tmp_path / f"{gain}.onnx", gain=gain), "own"), tmp_path / f"{gain}"
        )
        registry.register(key, made)

    first = of_project.run("promote", model, "1")
    second = of_project.run("promote", model, "2")
    back = of_project.run("rollback", model)

    assert (first["number"], second["number"], back["number"]) == (1, 2, 1)
    (entry,) = entries(tmp_path / "home" / "functions")
    assert (entry.id, entry.version) == ("champion", registry.show(key, "1").bundle)
    assert registry.show(key, "1").champion


def test_an_unknown_model_names_those_there_are(setting: Setting, tmp_path: Path) -> None:
    setting.run("add", yolo(tmp_path / "here.onnx"))
    for words in (["show", "nowhere"], ["promote", "nowhere"], ["rollback", "nowhere"]):
        with pytest.raises(TrainerError, match=r"no such model.*here"):
            setting.run(*words)


def test_a_card_brings_an_onnx_of_another_family(setting: Setting, tmp_path: Path) -> None:
    card = tmp_path / "card.yaml"
    card.write_text(CARD)
    path = stranger(tmp_path / "dets.onnx")
    made = setting.run("add", path, "--card", card)
    assert made["engine"] == "generic_onnx"
    assert setting.answer("dets") == [("red", [24, 16, 32, 24])]


def _files(setting: Setting) -> list[str]:
    home = setting.folder / "home"
    return sorted(str(p) for name in ("bundles", "functions") for p in (home / name).rglob("*"))
