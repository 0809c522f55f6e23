"""The processes of the models, one by one: what they may do, and who shares them."""

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import requests
from PIL import Image

from serverless.errors import ModelError
from serverless.host.runners import Ask
from serverless.host.server import main, running
from serverless.host.workers.fleet import Fleet
from serverless.host.workers.worker import Limits
from serverless.store.folders import GENERAL_INTERACTOR, shipped
from serverless.store.functions import publish
from serverless.wire.requests import InteractorRequest
from tests.serverless.bad_models import bad, bad_interactor
from tests.serverless.bright_spots import bright_spots, picture
from tests.serverless.test_host import RECORDED, invoke, spots_entry

FORBIDDEN = """
import os, sys, threading
from serverless.host.workers.processes import forbid
why = forbid()
if why:
    sys.exit(f"skip: {why}")
thread = threading.Thread(target=lambda: print("thread"))
thread.start()
thread.join()
for start in (os.fork, os.forkpty, lambda: os.posix_spawn("/bin/true", ["true"], {}),
              lambda: os.execv("/bin/true", ["true"])):
    try:
        start()
    except OSError as error:
        print(type(error).__name__)
"""


def test_a_models_process_starts_threads_and_no_process():
    done = subprocess.run([sys.executable, "-c", FORBIDDEN], capture_output=True, text=True)
    if done.stderr.startswith("skip"):
        pytest.skip(done.stderr)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["thread", *["PermissionError"] * 4]


def test_every_worker_is_under_that_rule(tmp_path):
    others = _filtered()
    fleet = Fleet(Limits(1 << 30, 60.0))
    model = fleet.load(spots_entry(bright_spots(tmp_path / "bundle")))
    try:
        (worker,) = _filtered() - others
        threads = worker.num_threads()
    finally:
        fleet.close()

    assert threads >= 4
    assert model.version


def _filtered() -> set[psutil.Process]:
    """Return our children under a filter of system calls; a browser of other tests is as well."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        except FileNotFoundError:  # it has just ended
            continue
        fields = dict(line.split(":", 1) for line in lines)
        if fields["Seccomp"].strip() == "2":
            found.add(process)
    return found


def test_memory_of_a_hungry_call_comes_back_and_the_model_answers_again(tmp_path):
    made = bad(tmp_path / "hungry", "hungry", hunger=600 << 20)
    entry = spots_entry(made, id="hungry")
    fleet = Fleet(Limits(2 << 30, 60.0, idle_seconds=0.5))
    try:
        model = fleet.load(entry)
        at_rest = model.held_bytes
        model.detect([Ask(entry, picture((1, 1, 0)), None)])
        until = time.monotonic() + 60
        while model.held_bytes > at_rest + (100 << 20):
            assert time.monotonic() < until
            time.sleep(0.05)
        (answer,) = model.detect([Ask(entry, picture(), None)])
        again = model.held_bytes
    finally:
        fleet.close()

    assert answer.content == b"[]"
    assert again < at_rest + (100 << 20)


def test_a_process_that_waits_for_calls_gives_its_scratch_back(tmp_path):
    """Without being ended: it is the same one that answers next."""
    entry = spots_entry(bad(tmp_path / "hungry", "hungry", hunger=200 << 20), id="hungry")
    others = _filtered()
    fleet = Fleet(Limits(2 << 30, 60.0))
    try:
        model = fleet.load(entry)
        (worker,) = _filtered() - others
        at_rest = worker.memory_info().rss
        model.detect([Ask(entry, picture((1, 1, 0)), None)])
        after = worker.memory_info().rss
        until = time.monotonic() + 60
        while worker.memory_info().rss > at_rest + (50 << 20):
            assert time.monotonic() < until
            time.sleep(0.05)
        (answer,) = model.detect([Ask(entry, picture(), None)])
    finally:
        fleet.close()

    assert after > at_rest + (150 << 20)
    assert answer.content == b"[]"


def test_an_interactor_that_crashes_costs_its_own_caller(tmp_path):
    (good,) = [one for one in shipped() if one.id == GENERAL_INTERACTOR]
    made = bad_interactor(tmp_path / "bad")
    entry = spots_entry(made, id="bad", kind="interactor")
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 255, (90, 120, 3), np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    clicks = np.array([(20.0, 40.0), (60.0, 10.0), (100.0, 40.0), (60.0, 80.0)])
    request = InteractorRequest(buffer.getvalue(), clicks, np.zeros((0, 2)), None, None)
    told = []
    fleet = Fleet(Limits(2 << 30, 60.0), failed=lambda name, why: told.append((name, why)))
    try:
        broken, whole = fleet.load(entry), fleet.load(good)
        with pytest.raises(ModelError, match="SIGFPE"):
            broken.interact(entry, request, user_agent=None)
        answer = whole.interact(good, request, user_agent=None)
    finally:
        fleet.close()

    assert answer.content
    assert [name for name, _ in told] == ["bad"]


class OutOfFiles(Fleet):
    """A fleet that cannot look at its processes, until it can."""

    broken = True

    def look(self) -> None:
        if self.broken:
            raise OSError("too many open files")
        super().look()


def test_limits_that_cannot_be_looked_after_are_told_and_looked_after_again():
    fleet = OutOfFiles(Limits(1 << 30, 60.0))
    told = []
    for fault in ("OSError: too many open files", ""):
        until = time.monotonic() + 60
        while fleet.unwatched != fault and time.monotonic() < until:
            time.sleep(0.01)
        told.append(fleet.unwatched)
        fleet.broken = False
    fleet.close()

    assert told == ["OSError: too many open files", ""]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    store = folder / "store"
    for n, name in enumerate(("leaf-a", "leaf-b", "alone")):
        made = bright_spots(folder / name, gain=4.0 + n)
        publish(store, spots_entry(made, id=name))
    publish(store, spots_entry(bad(folder / "bad", "crashing"), id="leaf-bad"))
    options = ("--group", "leaves=leaf-*")
    with running(store, log=folder / "log", builtin=False, options=options) as url:
        for name in ("leaf-a", "leaf-b", "leaf-bad", "alone"):
            assert invoke(url, name).status_code == 200
        yield url, store


def workers_of(store):
    (host,) = [p for p in psutil.Process().children() if str(store) in p.cmdline()]
    return {p.pid for p in host.children(recursive=True) if p.parent() != host}


def test_models_of_a_group_share_a_process_and_the_others_do_not(grouped):
    _, store = grouped

    assert len(workers_of(store)) == 2


def test_a_crash_in_a_group_starts_its_process_again_and_no_other(grouped):
    url, store = grouped
    before = workers_of(store)
    crash = invoke(url, "leaf-bad", (1, 1, 0))
    after = [invoke(url, name, (1, 1, 0)) for name in ("leaf-a", "leaf-b", "alone")]

    assert crash.status_code == 500
    assert [reply.status_code for reply in after] == [200] * 3
    assert [reply.json()[0]["confidence"] for reply in after] == ["0.8808", "0.9241", "0.9526"]
    assert len(workers_of(store)) == 2
    assert len(before & workers_of(store)) == 1
    assert requests.get(f"{url}/api/functions", headers=RECORDED, timeout=60).status_code == 200


@pytest.mark.parametrize("wrong", ["leaves", "=a,b", "leaves= ,"])
def test_a_group_that_says_nothing_is_refused(wrong, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--store", str(tmp_path), "--group", wrong])

    assert ended.value.code == 2
    assert "expected NAME=ID,ID" in capsys.readouterr().err
