"""Every function folder, and one that `models export` writes, under Nuclio's own wrapper."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import serverless
from serverless.export.folder import write_function
from serverless.host.models import answer_detector, answer_interactor, load
from serverless.store.folders import entry_of
from serverless.wire.requests import UNREADABLE_HEADER, detector_request, interactor_request
from tests.serverless.bright_spots import bright_spots, picture
from tests.serverless.function_bundles import bundle_for
from tests.serverless.test_host import spots_entry
from tests.serverless.wrapped import Wrapped, missing

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

ROOT = Path(serverless.__file__).parent
FUNCTIONS = sorted(ROOT.glob("*/function*.yaml"))
CLICKS = [[20.5, 40.5], [60.5, 10.5], [100.5, 40.5], [60.5, 80.5]]


def encoded(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def noise():
    """A frame that the random networks see something on."""
    small = np.random.default_rng(4).integers(0, 255, (8, 12, 3), np.uint8)
    return small.repeat(10, 0).repeat(10, 1)


def request_of(function):
    if function.parent.name == "extreme_points":
        clicks = {"pos_points": CLICKS, "neg_points": [], "obj_bbox": []}
        return {"image": encoded(noise())} | clicks
    spots = function.parent.name == "centernet"
    return {"image": encoded(picture((3, 2, 0)) if spots else noise()), "threshold": 0.3}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_function_answers_as_its_model_does(function, tmp_path):
    spec = yaml.safe_load(function.read_text())["spec"]
    interacts = function.parent.name == "extreme_points"
    folder = ROOT / "extreme_points/weights" if interacts else bundle_for(function, tmp_path).path
    request = request_of(function)
    with Wrapped(ROOT.parent, spec["handler"], {"BUNDLE": str(folder)}) as worker:
        good = worker.call(json.dumps(request).encode())
        plain = worker.call(json.dumps(request).encode(), content_type="text/plain")
        bad = worker.call(b"{")
        unread = worker.call(json.dumps(request | {"image": "aGVsbG8="}).encode())

    entry = entry_of(function, folder)
    model = load(entry)
    if interacts:
        asked = interactor_request(request)
        expected = answer_interactor(entry, model, asked, user_agent="CVAT/2.73.0")
    else:
        expected = answer_detector(entry, model, detector_request(request))
    assert expected
    assert (good["status_code"], good["content_type"]) == (200, "application/json")
    assert json.loads(good["body"]) == json.loads(json.dumps(expected))
    assert plain["body"] == good["body"]
    assert bad["status_code"] == 400
    assert "not JSON" in json.loads(bad["body"])["error"]
    if interacts:
        assert unread["status_code"] == 400
    else:
        assert (unread["status_code"], unread["body"]) == (200, "[]")
        assert "no image" in unread["headers"][UNREADABLE_HEADER]
    assert "model loaded" in [line["message"] for line in worker.logged]


@pytest.mark.parametrize("options", [(), ("--decode-event-strings",)], ids=["bytes", "text"])
def test_an_exported_folder_answers_by_itself(options, tmp_path):
    entry = spots_entry(bright_spots(tmp_path / "bundle"))
    write_function(entry, tmp_path / "function")
    handler = yaml.safe_load((tmp_path / "function/function.yaml").read_text())["spec"]["handler"]
    body = json.dumps({"image": encoded(picture((3, 2, 0)))}).encode()
    with Wrapped(tmp_path / "function", handler, {}, options) as worker:
        answers = [worker.call(body) for _ in range(3)]

    assert {answer["status_code"] for answer in answers} == {200}
    (found,) = json.loads(answers[-1]["body"])
    assert (found["label"], found["points"]) == ("red", [6.0, 10.0, 14.0, 18.0])


def test_a_worker_without_a_model_does_not_start():
    with pytest.raises(RuntimeError, match="set BUNDLE"):
        Wrapped(ROOT.parent, "serverless.yolo.main:handler", {})
