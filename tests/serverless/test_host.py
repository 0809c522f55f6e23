"""The function host as CVAT meets it: a process of its own, real HTTP, a real ONNX model."""

import base64
import io
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
import requests
from PIL import Image

from serverless.errors import HostError
from serverless.host.server import main, running
from serverless.store.functions import Entry, publish
from tests.serverless.bright_spots import bright_spots, picture

RECORDED = {
    "User-Agent": "CVAT/2.73.0 python-requests/2.33.1",
    "x-nuclio-project-name": "cvat",
    "x-nuclio-function-namespace": "nuclio",
    "x-nuclio-invoke-via": "domain-name",
    "X-Nuclio-Invoke-Timeout": "120s",
}


def invoke(url, function_id, *spots, **more):
    buffer = io.BytesIO()
    Image.fromarray(picture(*spots)).save(buffer, "PNG")
    body = {"image": base64.b64encode(buffer.getvalue()).decode(), **more}
    return requests.post(
        f"{url}/api/function_invocations",
        json=body,
        headers=RECORDED | {"x-nuclio-function-name": function_id, "x-nuclio-path": "/"},
        timeout=60,
    )


def spots_entry(made, **changes):
    values = {
        "id": "bright-spots",
        "kind": "detector",
        "name": "Bright spots",
        "description": "finds what shines",
        "bundle": made.path,
        "version": made.version,
    }
    return Entry(**(values | changes))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    made = bright_spots(folder / "bundle")
    publish(folder / "store", spots_entry(made))
    with running(folder / "store", log=folder / "host.log") as url:
        yield url, folder


def test_cvats_three_requests_are_answered_by_a_real_model(served):
    url, _ = served

    listed = requests.get(f"{url}/api/functions", headers=RECORDED, timeout=60).json()
    single = requests.get(f"{url}/api/functions/bright-spots", headers=RECORDED, timeout=60)
    reply = invoke(url, "bright-spots", (3, 2, 0), (6, 6, 1))

    assert listed["bright-spots"] == single.json()
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    # sigmoid(4 * 0.5) = 0.8808; the box of 8 pixels around the middle of the cell.
    assert sorted(reply.json(), key=lambda item: item["label"]) == [
        {
            "label": "green",
            "confidence": "0.8808",
            "attributes": [{"name": "confidence", "value": "0.88"}],
            "type": "rectangle",
            "points": [22.0, 22.0, 30.0, 30.0],
        },
        {
            "label": "red",
            "confidence": "0.8808",
            "attributes": [{"name": "confidence", "value": "0.88"}],
            "type": "rectangle",
            "points": [6.0, 10.0, 14.0, 18.0],
        },
    ]


def test_an_image_with_nothing_is_an_empty_list_and_a_broken_one_says_so(served):
    url, _ = served

    assert invoke(url, "bright-spots").json() == []
    broken = requests.post(
        f"{url}/api/function_invocations",
        json={"image": "aGVsbG8="},
        headers=RECORDED | {"x-nuclio-function-name": "bright-spots"},
        timeout=60,
    )
    assert (broken.status_code, broken.json()) == (200, [])
    assert "image" in broken.headers["x-frame-not-read"]


def test_a_promotion_in_the_middle_of_traffic_fails_no_call(served):
    url, folder = served
    old = bright_spots(folder / "bundle")
    new = bright_spots(folder / "bundle-2", gain=8.0)
    seen, stop = [], threading.Event()

    def traffic():
        while not stop.is_set():
            reply = invoke(url, "bright-spots", (1, 1, 0))
            seen.append((reply.status_code, reply.json()[0]["confidence"]))

    with ThreadPoolExecutor(3) as callers:
        for _ in range(3):
            callers.submit(traffic)
        while len(seen) < 6:
            stop.wait(0.01)
        publish(folder / "store", spots_entry(new, name="Brighter"))
        for _ in range(1000):
            if seen[-1][1] != "0.8808":
                break
            stop.wait(0.02)
        stop.set()
    after = invoke(url, "bright-spots", (1, 1, 0)).json()[0]["confidence"]
    publish(folder / "store", spots_entry(old))

    assert {status for status, _ in seen} == {200}
    assert {confidence for _, confidence in seen} == {"0.8808", "0.9820"}
    assert after == "0.9820"


class Nuclio(BaseHTTPRequestHandler):
    """A Nuclio dashboard with a good function and two that would break CVAT's list."""

    functions: ClassVar = {
        "retinanet": {
            "metadata": {
                "name": "retinanet",
                "annotations": {"type": "detector", "spec": '[{"name": "car"}]'},
            },
            "spec": {"description": "boxes"},
            "status": {"state": "ready", "httpPort": 49155},
        },
        "no-description": {
            "metadata": {"name": "no-description", "annotations": {"type": "detector"}},
            "spec": {},
            "status": {},
        },
        "bad-spec": {
            "metadata": {"name": "bad-spec", "annotations": {"type": "detector", "spec": "[{"}},
            "spec": {"description": "x"},
            "status": {},
        },
        "bright-spots": {
            "metadata": {"name": "bright-spots", "annotations": {"type": "detector"}},
            "spec": {"description": "not ours"},
            "status": {},
        },
    }

    def do_GET(self):
        self.reply(200, self.functions)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = self.headers["x-nuclio-function-name"]
        if name != "retinanet":
            self.reply(500, {"error": "no such function"})
        else:
            path = self.headers["x-nuclio-path"]
            self.reply(200, [{"label": "car", "type": "tag", "echo": [path, len(body["image"])]}])

    def reply(self, status, content):
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_nuclio_behind_is_merged_its_broken_functions_are_held_back(served):
    _, folder = served
    nuclio = ThreadingHTTPServer(("127.0.0.1", 0), Nuclio)
    threading.Thread(target=nuclio.serve_forever, daemon=True).start()
    upstream = f"http://127.0.0.1:{nuclio.server_port}"

    with running(
        folder / "store", upstream=upstream, builtin=False, log=folder / "merged.log"
    ) as url:
        listed = requests.get(f"{url}/api/functions", headers=RECORDED, timeout=60).json()
        single = requests.get(f"{url}/api/functions/retinanet", headers=RECORDED, timeout=60)
        held = requests.get(f"{url}/api/functions/no-description", headers=RECORDED, timeout=60)
        absent = requests.get(f"{url}/api/functions/absent", headers=RECORDED, timeout=60)
        theirs = invoke(url, "retinanet", (1, 1, 0))
        ours = invoke(url, "bright-spots", (1, 1, 0))
        unknown = invoke(url, "absent")
        status = requests.get(f"{url}/status", timeout=60).json()
        nuclio.shutdown()
        nuclio.server_close()
        alone = requests.get(f"{url}/api/functions", headers=RECORDED, timeout=60)
        still_ours = invoke(url, "bright-spots", (1, 1, 0))
        gone = invoke(url, "retinanet")
        down = requests.get(f"{url}/status", timeout=60).json()

    assert sorted(listed) == ["bright-spots", "retinanet"]
    assert listed["bright-spots"]["spec"]["description"] == "finds what shines"
    assert single.json() == listed["retinanet"] == Nuclio.functions["retinanet"]
    assert (held.status_code, absent.status_code) == (500, 404)
    assert theirs.json()[0]["echo"][0] == "/"
    assert ours.json()[0]["label"] == "red"
    assert (unknown.status_code, unknown.json()) == (500, {"error": "no such function"})
    assert sorted(status["held_back"]) == ["bad-spec", "bright-spots", "no-description"]
    assert status["held_back"]["no-description"] == ["spec.description is missing"]
    assert list(alone.json()) == ["bright-spots"]
    assert still_ours.status_code == 200
    assert gone.status_code == 502
    assert list(down["held_back"]) == [upstream]


def test_the_whole_host_runs_without_torch(served):
    url, _ = served
    invoke(url, "bright-spots", (1, 1, 0))
    (host,) = [
        process
        for process in psutil.Process().children()
        if str(served[1] / "store") in process.cmdline() and "--upstream" not in process.cmdline()
    ]

    family = [host, *host.children(recursive=True)]
    maps = [Path(f"/proc/{process.pid}/maps").read_text() for process in family]

    assert ["onnxruntime" in one for one in maps].count(True) >= 2  # where workers begin, and one
    assert "onnxruntime" not in maps[0]
    assert [one for one in maps if "torch" in one] == []


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])  # noqa: S104 - it is refused
def test_it_refuses_to_listen_to_everybody(tmp_path, address, capsys):
    code = main(["--store", str(tmp_path), "--host", address, "--port", "0"])

    told = capsys.readouterr()
    assert code == 2
    assert "refusing to listen" in told.err
    assert told.out == ""


def test_a_port_that_is_taken_is_told_by_name(served, tmp_path):
    url, _ = served
    port = int(url.rsplit(":", 1)[1])

    with (
        pytest.raises(HostError, match="exit code 1"),
        running(tmp_path, port=port, log=tmp_path / "log"),
    ):
        pass

    assert f"127.0.0.1:{port}" in (tmp_path / "log").read_text()


def test_it_ends_when_told_even_while_it_serves(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "serverless.host", "--store", str(tmp_path), "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    event = json.loads(process.stdout.readline())

    assert event["event"] == "listening"
    assert requests.get(f"{event['url']}/healthz", timeout=60).json() == {"status": "ok"}
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0
    process.stdout.close()
