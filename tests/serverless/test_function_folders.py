"""Every engine folder: what CVAT and nuctl ask of its function.yaml, and that its main.py loads."""

import importlib
import json
import re
from pathlib import Path

import pytest
import yaml

import serverless
from serverless.describe import faults_in
from trainer.engines import ENGINES

ROOT = Path(serverless.__file__).parent
FOLDERS = sorted(path.parent for path in ROOT.glob("*/function.yaml"))


def content(folder: Path) -> dict:
    return yaml.safe_load((folder / "function.yaml").read_text())


def test_there_are_folders_to_check():
    assert {"centernet", "yolo"} <= {folder.name for folder in FOLDERS}


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

    def test_its_handler_imports_without_a_model(self, folder):
        module, _, function = content(folder)["spec"]["handler"].partition(":")

        found = importlib.import_module(module)

        assert Path(found.__file__).parent == folder
        assert callable(getattr(found, function))
        assert callable(found.init_context)

    def test_an_engine_runs_it(self, folder):
        assert folder.name in ENGINES
