"""A written folder by itself, as Nuclio runs it: nuclio_sdk's types, no checkout, no torch."""

from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest
import requests
import yaml
from PIL import Image

from serverless.errors import ExportError
from serverless.export.folder import write_function
from serverless.host.server import running
from serverless.store.describe import faults_in
from serverless.store.functions import Entry, FunctionLabel, publish
from tests.serverless.bright_spots import bright_spots, picture
from tests.serverless.function_bundles import random_bundle
from trainer.bundles.bundle import Bundle
from trainer.engines import load
from trainer.errors import BundleError

# Reads requests, a JSON a line, and answers each as Nuclio's wrapper would put it on the wire.
WRAPPER = """
import importlib, json, logging, os, sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'torchvision', 'ultralytics', 'mlflow', 'cvat_sdk'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refusing())
sys.path.insert(0, os.getcwd())
import nuclio_sdk
module, _, name = sys.argv[1].partition(':')
handler = getattr(importlib.import_module(module), name)
home = sys.modules[handler.__module__]
context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
home.init_context(context)
print('ready', flush=True)
for line in sys.stdin:
    event = nuclio_sdk.Event(body=json.loads(line), content_type='application/json',
                             method='POST', path='/')
    output = nuclio_sdk.Response.from_entrypoint_output(json.dumps, handler(context, event))
    ours = [m.__file__ for n, m in sys.modules.items()
            if n.split('.')[0] in ('serverless', 'trainer')]
    print(json.dumps({**output, 'ours': ours}), flush=True)
"""


def entry_of(made: Bundle, **changes) -> Entry:
    entry = Entry("bright-spots", "detector", "Bright spots", "finds", made.path, made.version)
    return replace(entry, **changes)


def body(*spots) -> dict:
    buffer = io.BytesIO()
    Image.fromarray(picture(*spots)).save(buffer, "PNG")
    return {"image": base64.b64encode(buffer.getvalue()).decode(), "threshold": 0.5}


class Worker:
    """The folder's handler in a process whose path holds the folder and packages alone."""

    def __init__(self, folder: Path) -> None:
        self.content = yaml.safe_load((folder / "function.yaml").read_text())
        told = {row["name"]: row["value"] for row in self.content["spec"]["env"]}
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", WRAPPER, self.content["spec"]["handler"]],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", **told},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.files: list[str] = []
        self._line()

    def __call__(self, request: dict) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        output = json.loads(self._line())
        self.files = output.pop("ours")
        return output

    def _line(self) -> str:
        line = self.process.stdout.readline()
        assert line, f"the worker ended with {self.process.wait()}"
        return line

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


def hosts(url: str, request: dict) -> requests.Response:
    headers = {"x-nuclio-function-name": "bright-spots", "x-nuclio-path": "/"}
    return requests.post(
        f"{url}/api/function_invocations", json=request, headers=headers, timeout=60
    )


def test_the_folder_by_itself_answers_as_the_host_does(tmp_path: Path) -> None:
    labels = (FunctionLabel("green", "Grün", "rectangle"), FunctionLabel("red", "Rot", "any"))
    entry = entry_of(bright_spots(tmp_path / "bundle"), labels=labels, min_score=0.6)
    publish(tmp_path / "store", entry)
    write_function(entry, tmp_path / "function")

    asked = [body((3, 2, 0), (5, 5, 1)), body(), {"image": "no"}, {"threshold": 2}]
    with Worker(tmp_path / "function") as worker, running(tmp_path / "store") as url:
        for request in asked:
            mine, theirs = worker(request), hosts(url, request)
            assert mine["content_type"] == "application/json"
            assert (mine["status_code"], json.loads(mine["body"])) == (
                theirs.status_code,
                theirs.json(),
            )
        first = json.loads(worker(asked[0])["body"])

    assert {item["label"] for item in first} == {"Grün", "Rot"}
    assert worker.files
    assert all(Path(path).is_relative_to(tmp_path / "function") for path in worker.files)


@pytest.mark.parametrize("follow", [False, True], ids=["packed", "mounted"])
def test_a_model_of_boxes_carries_the_interactor_that_makes_its_masks(
    tmp_path: Path, follow: bool
) -> None:
    """Boxes on polygon and mask labels are answered as the host answers them."""
    labels = (FunctionLabel("green", "green", "polygon"), FunctionLabel("red", "red", "mask"))
    entry = entry_of(bright_spots(tmp_path / "bundles" / "spots"), labels=labels, min_score=0.6)
    store = tmp_path / "store"
    publish(store, entry)
    mounts = (store, tmp_path / "bundles") if follow else ()
    write_function(entry, tmp_path / "function", mounts=mounts)

    asked = body((3, 2, 0), (5, 5, 1))
    with Worker(tmp_path / "function") as worker, running(store) as url:
        mine, theirs = worker(asked), hosts(url, asked)

    assert mine["status_code"] == 200, mine["body"]
    items = json.loads(mine["body"])
    assert items == theirs.json()
    assert {item["type"] for item in items} == {"polygon", "mask"}
    assert all(Path(path).is_relative_to(tmp_path / "function") for path in worker.files)


def test_rectangles_carry_no_interactor(tmp_path: Path) -> None:
    write_function(entry_of(bright_spots(tmp_path / "bundle")), tmp_path / "function")

    assert {path.parent.name for path in (tmp_path / "function").rglob("card.json")} == {"model"}


@pytest.mark.parametrize("engine", ["torchvision_detection", "mask_rcnn", "semantic"])
def test_the_folder_of_a_torch_network_answers_without_torch(engine: str, tmp_path: Path) -> None:
    made = random_bundle(engine, tmp_path / "bundle")
    assert made.card.engine == engine
    entry = Entry(engine, "detector", engine, "finds", made.path, made.version)
    write_function(entry, tmp_path / "function")
    image = np.random.default_rng(4).integers(0, 255, (8, 12, 3), np.uint8).repeat(10, 0)
    image = image.repeat(10, 1)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    request = {"image": base64.b64encode(buffer.getvalue()).decode(), "threshold": 0.3}

    with Worker(tmp_path / "function") as worker:
        output = worker(request)
        bad = worker({"image": "no"})
    told = worker.content["metadata"]["annotations"]
    (found,) = load(made).detect([image], min_score=0.3)

    assert (output["status_code"], bad["status_code"]) == (200, 400)
    items = json.loads(output["body"])
    assert len(found) > 0
    assert [i["confidence"] for i in items] == [f"{score:.4f}" for score in found.scores]
    assert {i["label"] for i in items} <= {"cat", "dog"}
    kind = "rectangle" if engine == "torchvision_detection" else "mask"
    shown = "any" if engine == "torchvision_detection" else "mask"
    assert {i["type"] for i in items} == {kind}
    assert [(row["name"], row["type"]) for row in json.loads(told["spec"])] == [
        ("cat", shown),
        ("dog", shown),
    ]
    assert {path.name for path in (tmp_path / "function" / "model").iterdir()} == {
        "card.json",
        *made.card.files,
    }


def test_what_nuclio_and_cvat_are_told_obeys_their_rules(tmp_path: Path) -> None:
    made = bright_spots(tmp_path / "bundle")
    command = write_function(entry_of(made), tmp_path / "function")
    text = (tmp_path / "function" / "function.yaml").read_text()
    content = yaml.safe_load(text)
    spec = content["spec"]

    assert faults_in("bright-spots", content | {"status": {}}) == []
    assert {type(v) for v in content["metadata"]["annotations"].values()} == {str}
    labels = json.loads(content["metadata"]["annotations"]["spec"])
    assert [label["name"] for label in labels] == ["red", "green"]
    assert all(label["attributes"][0]["name"] == "confidence" for label in labels)
    (trigger,) = spec["triggers"].values()
    assert trigger["attributes"]["maxRequestBodySize"] == 33554432
    assert "numWorkers" in trigger
    assert "maxWorkers" not in trigger
    assert re.fullmatch(r"\d+s", spec["eventTimeout"])
    packages = spec["build"]["directives"]["preCopy"][1]["value"].split()[3:]
    assert packages
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", package) for package in packages)
    assert not any("torch" in package for package in packages)
    assert made.card.files["model.onnx"] in text
    assert str(tmp_path / "function") in command
    assert not list((tmp_path / "function").rglob("*torch*"))


def test_weights_that_were_changed_since_do_not_start_a_worker(tmp_path: Path) -> None:
    write_function(entry_of(bright_spots(tmp_path / "bundle")), tmp_path / "function")
    with (tmp_path / "function" / "model" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AssertionError, match="ended with 1"):
        Worker(tmp_path / "function")


def test_a_mounted_store_is_watched_and_a_promoted_model_answers(tmp_path: Path) -> None:
    old = bright_spots(tmp_path / "bundles" / "old")
    new = bright_spots(tmp_path / "bundles" / "new", labels=("rouge", "vert"))
    store = tmp_path / "store"
    publish(store, entry_of(old))
    write_function(entry_of(old), tmp_path / "function", mounts=(store, tmp_path / "bundles"))
    volumes = yaml.safe_load((tmp_path / "function" / "function.yaml").read_text())["spec"][
        "volumes"
    ]
    mounted = [row["volumeMount"]["mountPath"] for row in volumes]
    assert mounted == [row["volume"]["hostPath"]["path"] for row in volumes]
    assert mounted == [str(store), str(tmp_path / "bundles")]
    assert not (tmp_path / "function" / "model").exists()

    with Worker(tmp_path / "function") as worker:
        seen = [json.loads(worker(body((3, 2, 0)))["body"])[0]["label"]]
        publish(store, entry_of(new))
        seen.append(json.loads(worker(body((3, 2, 0)))["body"])[0]["label"])
    assert seen == ["red", "rouge"]


def test_what_cannot_be_exported_says_why_and_writes_nothing(tmp_path: Path) -> None:
    made = bright_spots(tmp_path / "bundle")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("x")
    with pytest.raises(ExportError, match="not an empty folder"):
        write_function(entry_of(made), full)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    with pytest.raises(ExportError, match="nothing to watch"):
        write_function(entry_of(made), tmp_path / "f", mounts=(tmp_path / "none", tmp_path))
    with pytest.raises(BundleError, match="expected version"):
        write_function(entry_of(made, version="another"), tmp_path / "f")
    assert not (tmp_path / "f").exists()
    assert not list(tmp_path.glob(".f-*"))
