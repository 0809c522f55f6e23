"""The program `trainer`, as the bridge starts it and as a person does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.patience import patience
from tests.trainer.shapes import shapes_dataset
from trainer.bundles.bundle import read_bundle
from trainer.cli.app import main

ROOT = Path(__file__).parents[2]
GPU = "cuda:91"
SETTINGS = ("--mlflow", "none", "--image-size", "48x64", "--batch-size", "4", "--set", "width=8")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return shapes_dataset(tmp_path_factory.mktemp("shapes") / "data", train=8, holdout=4).path


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data) -> tuple[Path, list[dict[str, Any]]]:
    """One finished fit that several tests look at."""
    out = tmp_path_factory.mktemp("finished") / "run"
    answer = trainer("fit", "--json", "--set", "steps=6", "--name", "shapes", *where(data, out))
    assert answer.returncode == 0, answer.stderr
    return out, events(answer.stdout)


def where(data: Path, out: Path) -> list[str]:
    return ["--data", str(data), "--out", str(out), *SETTINGS]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "trainer", *arguments]


def trainer(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False, timeout=200
    )


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_fit_tells_its_steps_and_ends_with_what_it_left(finished):
    out, told = finished
    fits = [e for e in told if e["event"] == "progress" and e["stage"] == "fit"]
    done = told[-1]

    assert {e["event"] for e in told[:-1]} == {"progress", "note"}
    assert (fits[-1]["done"], fits[-1]["total"]) == (6, 6)
    assert fits[-1]["figures"]["loss"] > 0
    assert done["event"] == "done"
    assert Path(done["checkpoint"]).is_relative_to(out)
    bundle = read_bundle(Path(done["bundle"]), version=done["version"])
    assert bundle.card.name == "shapes"
    assert done["evaluation"]["split"] == "holdout"
    assert done["evaluation"]["frames"] == 4
    assert bundle.card.metrics["ap"] == done["evaluation"]["ap"]


def test_a_finished_fit_is_not_done_again_and_another_fit_does_not_take_its_folder(finished, data):
    out, told = finished
    again = trainer("fit", "--json", "--set", "steps=6", "--name", "shapes", *where(data, out))
    other = trainer("fit", "--json", "--set", "steps=7", "--name", "shapes", *where(data, out))
    (error,) = events(other.stdout)

    assert [{**e, "seconds": 0} for e in events(again.stdout)] == [{**told[-1], "seconds": 0}]
    assert other.returncode == 2
    assert (error["event"], error["kind"]) == ("error", "ConfigError")
    assert "extra was" in error["message"]


def test_all_wrong_settings_are_told_at_once_before_anything_is_loaded(tmp_path, data):
    config = tmp_path / "fit.yaml"
    config.write_text("epochs: many\nbatch_sise: 3\nimage_size: 64\n")
    answer = trainer(
        "fit", "--json", "--config", str(config), "--data", str(data), "--out", str(tmp_path / "o")
    )
    (error,) = events(answer.stdout)

    assert answer.returncode == 2
    assert len(error["faults"]) == 3
    for word in ("batch_sise", "epochs", "image_size"):
        assert word in error["message"]


def test_faults_of_every_kind_are_told_together(tmp_path):
    """What cannot be read, what is out of range, the backend's own, places, and the machine."""
    (tmp_path / "file").write_text("in the way")
    answer = trainer(
        *("fit", "--json", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "file" / "r")),
        *("--image-size", "64", "--epochs", "0", "--set", "steps=x", "--set", "foo=1"),
        *("--task", "masks", "--split", "tset", "--set", "novalue"),
    )
    (error,) = events(answer.stdout)
    assert answer.returncode == 2
    # A pair that is none hides the other settings, not the places.
    assert "--set needs KEY=VALUE, found 'novalue'" in error["faults"]

    answer = trainer(
        *("fit", "--json", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "file" / "r")),
        *("--image-size", "64", "--epochs", "0", "--set", "steps=x", "--set", "foo=1"),
        *("--task", "masks", "--split", "tset"),
    )
    (error,) = events(answer.stdout)
    assert answer.returncode == 2
    said = "\n".join(error["faults"])
    for word in (
        *("image_size cannot be '64'", "epochs must be 1 or more", "extra.steps", "extra.foo"),
        *(
            "centernet trains boxes; ",
            "yolo can",
            "split must be of",
            "a file already exists under that name",
        ),
        "it contains no annotations.json",
    ):
        assert word in said


def test_a_device_that_is_not_there_is_told_before_anything_is_read(tmp_path):
    answer = trainer("fit", "--json", *where(tmp_path / "none", tmp_path / "o"), "--device", GPU)
    (error,) = events(answer.stdout)
    assert (answer.returncode, error["kind"]) == (2, "ConfigError")
    assert f"device {GPU} is not on this machine" in error["message"]
    assert "there are: cpu" in error["message"]
    assert not (tmp_path / "o").exists()


def test_a_dataset_that_is_not_there_is_exit_1_with_its_name_and_no_traceback_for_people(tmp_path):
    asked = where(tmp_path / "none", tmp_path / "out")
    people, machine = trainer("fit", *asked), trainer("fit", "--json", *asked)
    (error,) = events(machine.stdout)

    assert (people.returncode, machine.returncode) == (1, 1)
    assert people.stdout == ""
    assert "DatasetError" in people.stderr
    assert "Traceback" not in people.stderr
    assert error["kind"] == "DatasetError"
    assert str(tmp_path / "none") in error["message"]


def started(data: Path, out: Path, *prefix: str) -> subprocess.Popen[str]:
    """A fit that would take minutes, once it is learning."""
    arguments = ("fit", "--json", "--set", "steps=100000", *where(data, out))
    process = subprocess.Popen(
        [*prefix, *command(*arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("stage") == "fit":
            return process
    raise AssertionError("the fit ended before it began to learn")


def test_stop_keeps_what_was_learnt_and_resume_goes_on(tmp_path, data):
    out = tmp_path / "run"
    process = started(data, out)
    held = trainer("fit", "--json", "--set", "steps=100000", *where(data, out))
    stopped = trainer("stop", str(out))
    rest, _ = process.communicate(timeout=100)
    done = events(rest)[-1]
    learnt = read_bundle(Path(done["bundle"])).card.extra["steps"]

    assert (stopped.returncode, process.returncode) == (0, 0)
    assert f"another process is training in {out}" in events(held.stdout)[0]["message"]
    told = [event["text"] for event in events(rest) if event["event"] == "note"]
    assert f"stopped before its end; continue with `trainer resume {out}`" in told
    assert 0 < learnt < 100000
    assert trainer("stop", str(out)).returncode == 3

    resumed = trainer("resume", str(out), "--json", "--time-limit", "0.01")
    again = events(resumed.stdout)[-1]

    assert resumed.returncode == 0, resumed.stderr
    assert again["event"] == "done"
    assert read_bundle(Path(again["bundle"])).card.extra["steps"] >= learnt


def test_a_fit_ends_when_the_process_that_started_it_is_killed(tmp_path, data):
    """The one between stands for a service: it starts the fit, and dies without a word."""
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    arguments = ("fit", "--json", "--set", "steps=100000", *where(data, tmp_path / "run"))
    service = subprocess.Popen(
        [sys.executable, "-c", script, *command(*arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert service.stdout is not None
    fit = int(service.stdout.readline())
    for line in service.stdout:
        if '"fit"' in line:
            break
    assert alive(fit)

    service.send_signal(signal.SIGKILL)
    service.wait()
    deadline = time.monotonic() + patience(60)
    while alive(fit) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert not alive(fit)


def alive(pid: int) -> bool:
    """Whether it runs; one that has ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    os.kill(pid, 0)
    return state != "Z"


def test_evaluate_compare_and_show_speak_json(finished, data):
    bundle = str(finished[0] / "bundle")
    measured = trainer("evaluate", bundle, "--data", str(data), "--split", "holdout", "--json")
    compared = trainer(
        "compare", bundle, bundle, "--data", str(data), "--split", "holdout", "--json"
    )
    shown = trainer("show", bundle, "--json")

    assert json.loads(measured.stdout)["ap"] == finished[1][-1]["evaluation"]["ap"]
    decision = json.loads(compared.stdout)
    assert decision["promoted"] is False
    assert "4 holdout frames are too few" in decision["reasons"][0]
    assert json.loads(shown.stdout)["labels"] == ["disc", "square"]


def test_register_promote_show_and_rollback_by_command(finished, tmp_path, monkeypatch, capsys):
    """In this process, since each new one imports MLflow anew."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["trainer", *arguments, "--home", str(tmp_path)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    bundle = finished[0] / "bundle"
    _, registered, _ = run("register", "cells", str(bundle), "--json")
    (first, _, said), (second, _, _) = (run("promote", "cells", "1") for _ in range(2))
    _, shown, _ = run("show", "cells", "--json")
    code, _, told = run("rollback", "cells")

    assert json.loads(registered)["bundle"] == read_bundle(bundle).version
    assert (first, second) == (0, 3)
    assert "in the registry only" in said and "`cvat-bridge models promote cells 1`" in said
    assert [(v["number"], v["champion"]) for v in json.loads(shown)] == [(1, True)]
    assert (code, "no earlier champion" in told) == (1, True)
    assert run("show", "nobody")[0] == 3
