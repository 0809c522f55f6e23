"""Every engine folder: what CVAT and nuctl ask of its function.yaml, and that its main.py loads."""

import base64
import importlib
import io
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import nuclio_sdk
import pytest
import yaml
from PIL import Image

import serverless
from serverless.errors import ModelError
from serverless.store.describe import faults_in
from tests.serverless.bright_spots import bright_spots, picture
from trainer.engines import ENGINES

ROOT = Path(serverless.__file__).parent
FOLDERS = sorted(path.parent for path in ROOT.glob("*/function.yaml"))


def content(folder: Path) -> dict:
    return yaml.safe_load((folder / "function.yaml").read_text())


def test_there_are_folders_to_check():
    expected = {
        "centernet",
        "libreyolo",
        "mask_rcnn",
        "semantic",
        "torchvision_detection",
        "yolo",
    }
    assert expected <= {folder.name for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
class TestFolder:
    def test_cvat_can_read_its_metadata(self, folder):
        found = content(folder)

        assert faults_in(found["metadata"]["name"], found | {"status": {}}) == []
        assert found["spec"]["description"].strip()
        assert found["metadata"]["name"] == folder.name.replace("_", "-")

    def test_every_annotation_is_text_since_nuclio_takes_nothing_else(self, folder):
        annotations = content(folder)["metadata"]["annotations"]

        assert {key: type(value) for key, value in annotations.items()} == dict.fromkeys(
            annotations, str
        )
        # bool("false") is true to CVAT: the key is left out or the feature is on.
        assert "false" not in {value.lower() for value in annotations.values()}

    def test_a_detector_tells_its_labels_with_a_text_for_the_confidence(self, folder):
        annotations = content(folder)["metadata"]["annotations"]
        if annotations["type"] == "interactor":
            assert int(annotations["version"]) >= 2
            return

        labels = json.loads(annotations["spec"])
        assert labels
        for label in labels:
            assert label["type"] in ("rectangle", "polygon", "mask", "any")
            assert label["attributes"] == [
                {"name": "confidence", "input_type": "text", "values": []}
            ]

    def test_its_limits_fit_images_and_one_worker_holds_one_model(self, folder):
        spec = content(folder)["spec"]
        (trigger,) = spec["triggers"].values()

        assert trigger["kind"] == "http"
        assert trigger["attributes"]["maxRequestBodySize"] == 33554432
        assert trigger["numWorkers"] >= 1
        assert "maxWorkers" not in trigger
        assert re.fullmatch(r"\d+s", spec["eventTimeout"])
        assert spec["runtime"] == "python:3.11"
        assert spec["platform"]["attributes"]["mountMode"] == "volume"

    def test_every_requirement_and_the_image_are_pinned_and_none_is_torch(self, folder):
        build = content(folder)["spec"]["build"]
        commands = [step["value"] for step in build["directives"]["preCopy"]]
        packages = [
            word
            for command in commands
            if command.startswith("pip install")
            for word in command.split()[2:]
            if not word.startswith("-")
        ]

        assert re.search(r":\d", build["baseImage"])
        assert len(packages) >= 5
        assert [word for word in packages if not re.fullmatch(r"[\w-]+==[\d.]+", word)] == []
        assert not any(word.startswith("torch") for word in packages)

    def test_its_handler_is_found_as_nuclios_wrapper_finds_it(self, folder):
        module, _, function = content(folder)["spec"]["handler"].partition(":")

        found = getattr(importlib.import_module(module), function)
        # The wrapper takes init_context from the module that the handler says it is of.
        home = sys.modules[found.__module__]

        assert Path(home.__file__) == folder / "main.py"
        assert callable(home.init_context)
        context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
        with pytest.raises(ModelError, match="set BUNDLE"):
            home.init_context(context)

    def test_what_it_imports_is_what_its_image_installs(self, folder):
        module = content(folder)["spec"]["handler"].partition(":")[0]
        script = (
            f"import json, sys, {module}, {ENGINES[folder.name].partition(':')[0]}\n"
            "files = {n.split('.')[0] for n, m in list(sys.modules.items())"
            " if 'site-packages' in (getattr(m, '__file__', None) or '')}\n"
            "print(json.dumps(sorted(files)))"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        imported = {name for name in json.loads(done.stdout) if not name.startswith("_")}

        assert {"numpy", "cv2", "yaml", "shapely", "PIL"} <= imported
        # Imported at the first load, not before.
        installed = {"cachetools", "numpy", "cv2", "yaml", "shapely", "PIL"}
        assert imported - installed == set()

    def test_an_engine_runs_it(self, folder):
        assert folder.name in ENGINES


def test_the_centernet_folder_answers_an_event_from_start_to_end(tmp_path, monkeypatch):
    """Through the SDK's types, as the wrapper calls it, with a real ONNX bundle."""
    home = importlib.import_module("serverless.centernet.main")
    spec = json.loads(content(ROOT / "centernet")["metadata"]["annotations"]["spec"])
    names = [label["name"] for label in spec]
    made = bright_spots(tmp_path / "bundle", labels=tuple(names))
    monkeypatch.setenv("BUNDLE", str(made.path))
    context = nuclio_sdk.Context(logger=nuclio_sdk.Logger(level=logging.CRITICAL))
    buffer = io.BytesIO()
    Image.fromarray(picture((3, 2, 0))).save(buffer, "PNG")
    body = {"image": base64.b64encode(buffer.getvalue()).decode()}

    home.init_context(context)
    event = nuclio_sdk.Event(body=body, content_type="application/json", method="POST", path="/")
    output = nuclio_sdk.Response.from_entrypoint_output(json.dumps, home.handler(context, event))

    assert (output["status_code"], output["content_type"]) == (200, "application/json")
    assert [(i["label"], i["points"]) for i in json.loads(output["body"])] == [
        (names[0], [6.0, 10.0, 14.0, 18.0])
    ]
