"""A model can only hurt itself: real processes, and networks that crash, hang and eat memory."""

import base64
import io
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import requests
from PIL import Image

from serverless.host.server import running
from serverless.store.functions import publish
from tests.patience import patience
from tests.serverless.bad_models import KINDS, bad
from tests.serverless.bright_spots import bright_spots, picture
from tests.serverless.test_host import RECORDED, invoke, spots_entry

CALL_SECONDS = 6.0


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("isolated")
    store = folder / "store"
    for name in ("good", "other"):
        made = bright_spots(folder / name, gain=4.0 if name == "good" else 5.0)
        publish(store, spots_entry(made, id=name))
    for kind in KINDS:
        publish(store, spots_entry(bad(folder / kind, kind), id=kind))
    options = ("--model-memory-bytes", str(600 << 20))
    log = folder / "host.log"
    with running(store, call_timeout=CALL_SECONDS, log=log, builtin=False, options=options) as url:
        for name in ("good", "other", *KINDS):
            requests.get(f"{url}/api/functions/{name}", headers=RECORDED, timeout=60)
        limit = time.monotonic() + patience(60)
        while any(status_of(url, name)["state"] != "serving" for name in ("good", "other", *KINDS)):
            assert time.monotonic() < limit
            time.sleep(0.1)
        yield url, store


def status_of(url, name):
    functions = requests.get(f"{url}/status", timeout=60).json()["functions"]
    return next(one for one in functions if one["id"] == name)


def process_of_host(store):
    (host,) = [p for p in psutil.Process().children() if str(store) in p.cmdline()]
    return host


def test_bad_networks_answer_what_does_not_provoke_them(served):
    url, _ = served

    assert [invoke(url, kind).status_code for kind in KINDS] == [200, 200, 200]


def test_a_crash_costs_its_own_caller_and_the_model_answers_again(served):
    url, _ = served

    crash = invoke(url, "crashing", (1, 1, 0))
    good = invoke(url, "good", (1, 1, 0))
    after = invoke(url, "crashing")

    assert crash.status_code == 500
    assert "crashed (SIGFPE)" in crash.json()["error"]
    assert (good.status_code, after.status_code) == (200, 200)


def test_a_hungry_network_is_refused_its_memory(served):
    url, store = served

    hungry = invoke(url, "hungry", (1, 1, 0))
    after = invoke(url, "hungry")
    taken = sum(p.memory_info().rss for p in process_of_host(store).children(recursive=True))

    assert hungry.status_code == 500
    assert after.status_code == 200
    assert taken < 2 << 30


def test_eight_calls_that_hang_end_at_their_limit_while_a_good_model_answers(served):
    url, _ = served
    invoke(url, "good")
    with ThreadPoolExecutor(8) as callers:
        began = time.monotonic()
        hanging = [callers.submit(invoke, url, "hanging", (1, 1, 0)) for _ in range(8)]
        times = []
        while not all(call.done() for call in hanging):
            before = time.monotonic()
            assert invoke(url, "good", (2, 2, 1)).status_code == 200
            assert requests.get(f"{url}/healthz", timeout=patience(10)).status_code == 200
            times.append(time.monotonic() - before)
        ended = time.monotonic() - began

    assert {call.result().status_code for call in hanging} == {504}
    assert len(times) > 3
    assert max(times) < patience(CALL_SECONDS / 2)
    assert ended < patience(4 * CALL_SECONDS)


def test_no_process_goes_on_computing_after_its_limit(served):
    url, store = served
    assert invoke(url, "hanging", (1, 1, 0)).status_code in (503, 504)
    limit = time.monotonic() + patience(3 * CALL_SECONDS)

    def busy():
        workers = process_of_host(store).children(recursive=True)
        for worker in workers:
            worker.cpu_percent()
        time.sleep(0.5)
        used = 0.0
        for worker in workers:
            with_ended = worker.is_running()
            used += worker.cpu_percent() if with_ended else 0.0
        return used

    while busy() > 20:
        assert time.monotonic() < limit


def test_a_model_that_fails_again_and_again_is_paused_and_listed_with_its_reason(served):
    url, _ = served
    answers = [invoke(url, "crashing", (1, 1, 0)) for _ in range(6)]
    listed = requests.get(f"{url}/api/functions", headers=RECORDED, timeout=60).json()

    assert {reply.status_code for reply in answers} == {500, 503}
    paused = next(reply for reply in answers if reply.status_code == 503)
    assert "started again in" in paused.json()["error"]
    assert listed["crashing"]["status"]["state"] == "unhealthy"
    assert "SIGFPE" in listed["crashing"]["status"]["message"]
    assert status_of(url, "crashing")["state"] == "unhealthy"
    assert status_of(url, "good")["state"] == "serving"


def test_one_bad_image_in_a_batch_costs_only_its_own_caller(served):
    url, _ = served
    time.sleep(2)  # the pause after the failures before
    assert wait_until_well(url, "crashing")
    with ThreadPoolExecutor(6) as callers:
        black = [callers.submit(invoke, url, "crashing") for _ in range(5)]
        bright = callers.submit(invoke, url, "crashing", (1, 1, 0))

    assert bright.result().status_code == 500
    assert [call.result().status_code for call in black] == [200] * 5


def wait_until_well(url, name, seconds=90):
    limit = time.monotonic() + patience(seconds)
    while time.monotonic() < limit:
        if invoke(url, name).status_code == 200:
            return True
        time.sleep(0.2)
    return False


def test_workers_that_somebody_kills_while_they_wait_are_started_again(served):
    url, store = served
    assert invoke(url, "other").status_code == 200
    host = process_of_host(store)
    killed = [p for p in host.children(recursive=True) if p.parent() != host]
    for worker in killed:
        worker.kill()
    psutil.wait_procs(killed, timeout=patience(10))
    replies = [invoke(url, name, (1, 1, 0)) for name in ("other", "good", "other")]

    assert [reply.status_code for reply in replies] == [200, 200, 200]


def test_large_images_reach_the_model_whole(served):
    url, _ = served
    assert wait_until_well(url, "good")
    image = picture((3, 2, 0))
    buffer = io.BytesIO()
    Image.fromarray(image).resize((2048, 2048), Image.Resampling.NEAREST).save(buffer, "PNG")
    body = {"image": base64.b64encode(buffer.getvalue()).decode()}
    reply = requests.post(
        f"{url}/api/function_invocations",
        json=body,
        headers=RECORDED | {"x-nuclio-function-name": "good"},
        timeout=60,
    )

    assert reply.status_code == 200, reply.text
    (found,) = reply.json()
    assert found["label"] == "red"
    assert found["points"] == [384.0, 640.0, 896.0, 1152.0]


def test_no_worker_outlives_a_host_that_is_killed(tmp_path):
    made = bright_spots(tmp_path / "bundle")
    publish(tmp_path / "store", spots_entry(made))
    with running(tmp_path / "store", log=tmp_path / "log", builtin=False) as url:
        assert invoke(url, "bright-spots", (1, 1, 0)).status_code == 200
        host = process_of_host(tmp_path / "store")
        family = host.children(recursive=True)
        host.kill()
        _, alive = psutil.wait_procs(family, timeout=patience(20))

    assert len(family) >= 2
    assert alive == []


@pytest.mark.parametrize("isolation", ["shared", "none"])
def test_models_can_share_a_process(tmp_path, isolation):
    store = tmp_path / "store"
    for name, gain in (("one", 4.0), ("two", 8.0)):
        publish(store, spots_entry(bright_spots(tmp_path / name, gain=gain), id=name))
    options = ("--isolation", isolation)
    with running(store, log=tmp_path / "log", builtin=False, options=options) as url:
        found = [invoke(url, name, (1, 1, 0)).json()[0]["confidence"] for name in ("one", "two")]
        processes = process_of_host(store).children(recursive=True)

    assert found == ["0.8808", "0.9820"]
    # The one that forks, the one that tidies up after it, and the worker.
    assert len(processes) == (3 if isolation == "shared" else 0)


def test_a_sender_that_goes_to_sleep_is_let_go_and_keeps_nobody_waiting(tmp_path):
    made = bright_spots(tmp_path / "bundle")
    publish(tmp_path / "store", spots_entry(made))
    with running(tmp_path / "store", log=tmp_path / "log", builtin=False) as url:
        host, port = url.removeprefix("http://").split(":")
        slow = [socket.create_connection((host, int(port))) for _ in range(40)]
        for one in slow:
            one.sendall(
                b"POST /api/function_invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
                b"x-nuclio-function-name: bright-spots\r\n\r\n{"
            )
        good = invoke(url, "bright-spots", (1, 1, 0))
        slow[0].settimeout(40)
        told = slow[0].recv(200)
        for one in slow:
            one.close()

    assert good.status_code == 200
    assert told.startswith(b"HTTP/1.1 408")


def test_a_script_without_a_guard_may_hold_a_host(tmp_path):
    """The processes of models do not run the main module again."""
    store = tmp_path / "store"
    publish(store, spots_entry(bright_spots(tmp_path / "good"), id="good"))
    script = tmp_path / "script.py"
    script.write_text(
        "import base64, pathlib, sys\n"
        "from starlette.testclient import TestClient\n"
        "from serverless.host.app import HostSettings, create_app\n"
        "print('begun')\n"
        f"image = base64.b64encode(pathlib.Path({str(tmp_path / 'p.png')!r}).read_bytes())\n"
        f"with TestClient(create_app(pathlib.Path({str(store)!r}), HostSettings())) as client:\n"
        "    answer = client.post('/api/function_invocations',\n"
        "        headers={'x-nuclio-function-name': 'good'}, json={'image': image.decode()})\n"
        "    sys.exit(answer.status_code != 200)\n"
    )
    Image.fromarray(picture((1, 1, 0))).save(tmp_path / "p.png")

    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=250
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("begun") == 1
