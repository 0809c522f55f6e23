"""SIGKILL inside and between the steps, on real processes: the end is the same.

One project goes through a round undisturbed, a second one with the same images while its bridge is
killed again and again. Both must end with the same frames, the same pre-annotations and the same
labels of people.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cvat_bridge.cvat.client import CvatClient, connect
from cvat_bridge.demo.annotator import Annotator
from cvat_bridge.demo.ground_truth import GroundTruth, read_truth
from cvat_bridge.demo.project import Prepared, prepare
from cvat_bridge.demo.scenes import write_scenes
from cvat_bridge.ledger import Ledger
from cvat_bridge.sandbox import Sandbox, running
from serverless.store.functions import entries
from tests.patience import patience
from trainer.bundles.bundle import read_bundle

STEPS = ("facts", "pull", "fit", "decide", "predict", "select", "prioritise", "preannotate")
KILLS = (
    ("step started", "pull"),
    ("step started", "fit"),
    ("step done", "fit"),
    ("step started", "predict"),
    ("step done", "select"),
    ("step started", "prioritise"),
    ("step started", "preannotate"),
)
POOL, HOLDOUT, BUDGET = 24, 6, 6
PATIENCE = 240.0
INSIDE = 0.12  # seconds into a step: the shortest take about twice as long


@dataclass(frozen=True)
class World:
    sandbox: Sandbox
    truth: GroundTruth
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("killed")
    truth = read_truth(write_scenes(folder / "scenes", pool=POOL, holdout=HOLDOUT))
    with running(folder / "sandbox") as sandbox:
        yield World(sandbox, truth, folder)


@pytest.fixture(scope="module")
def undisturbed(world: World) -> dict[str, Any]:
    return go_through_a_round(world, "undisturbed", kill_at=())


@pytest.mark.timeout(1500)
def test_killed_inside_and_between_the_steps_the_round_ends_the_same(
    world: World, undisturbed: dict[str, Any]
) -> None:
    """At the moments that leave most behind; `make faults` kills at all sixteen."""
    assert go_through_a_round(world, "killed", kill_at=KILLS) == undisturbed


def test_the_round_that_is_compared_has_something_to_lose(undisturbed: dict[str, Any]) -> None:
    assert len(undisturbed["frames"]) == BUDGET
    assert len(undisturbed["pre_annotations"]) > 0
    assert len(undisturbed["labels of people"]) > 10


def test_a_round_records_why_it_decided_and_its_model_where_it_comes_from(
    world: World, undisturbed: dict[str, Any]
) -> None:
    home = world.folder / "undisturbed" / "home"
    with Ledger(home / "ledger.db") as ledger:
        (decision,) = ledger.decisions()
    (entry,) = (row for row in entries(home / "functions") if row.kind == "detector")
    origin = read_bundle(entry.bundle).card.provenance
    gate = decision.figures["gate"]
    manifest = json.loads((home / "snapshots" / origin["dataset"] / "manifest.json").read_text())

    assert undisturbed["rounds"] == [(1, "done")]
    assert entry.version == decision.challenger
    assert decision.reasons
    assert gate["leakage"]["judged"] == origin["frames"]["holdout"] > 0
    assert gate["leakage"]["learnt"] == origin["frames"]["train"] > 0
    assert gate["leakage"]["share"] == len(gate["leakage"]["leaks"]) / gate["leakage"]["judged"]
    assert gate["calibration"]["champion"] is None
    assert gate["calibration"]["challenger"]["answers"] > 0
    assert (origin["round"], origin["strategy"]) == (1, "auto")
    assert origin["jobs"] == manifest["jobs"]
    assert len({row["job"] for row in origin["jobs"]}) == len(origin["jobs"]) >= 3
    assert {"settings", "code", "base", "frames"} <= origin.keys()


def go_through_a_round(
    world: World, name: str, *, kill_at: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    sandbox, folder = world.sandbox, world.folder / name
    prepared = prepare(sandbox.url, sandbox.admin_token, name, world.truth, job_size=6)
    with connect(sandbox.url, token=sandbox.admin_token, cache_dir=folder / "cache") as gateway:
        person = Annotator(
            sandbox.url, sandbox.admin.username, sandbox.admin.password, world.truth.objects
        )
        jobs = [j for j in gateway.jobs(task_id=prepared.task_id) if j.type == "annotation"]
        for job in jobs[:3]:
            person.finish(vars(job), prepared.labels)
        config = write_config(folder, sandbox, prepared)
        for event in kill_at:
            assert run_until(config, sandbox, kill_at=event), f"{name}: never came to {event}"
        if not is_over(
            folder
        ):  # the last kill may come after the end; another run is another round
            run_until(config, sandbox, kill_at=None)
        return what_is_there(gateway, prepared, folder, [job.id for job in jobs[:3]])


def is_over(folder: Path) -> bool:
    path = folder / "home" / "ledger.db"
    if not path.exists():
        return False
    with Ledger(path) as ledger:
        return [(row.number, row.state) for row in ledger.rounds()] == [(1, "done")]


def write_config(folder: Path, sandbox: Sandbox, prepared: Prepared) -> Path:
    path = folder / "cvat-bridge.yaml"
    settings = {
        "home": "home",
        "cvat": {"url": sandbox.url, "project": prepared.project_id},
        "active_learning": {"budget": BUDGET},
        "trainer": {
            "extra": {"steps": 40},
            "image_size": [48, 64],
            "min_frames": 4,
        },
        "promotion": {"min_first_metric": 0.0, "min_frames": 2},
        "rounds": {"job_size": 3, "mark_source_deleted": True},
        "pre_annotation": {"min_score": 0.05, "by_class": False},
    }
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


def run_until(config: Path, sandbox: Sandbox, *, kill_at: tuple[str, str] | None) -> bool:
    """Run `cvat-bridge round`; kill it when its log shows the event. False: it never did.

    A step that has started is killed a moment later, when it is in the middle of its work. On a
    quick machine it may be over by then, and the next one too: that counts, it needs no kill.
    """
    log = config.with_suffix(".log")
    begin = log.stat().st_size if log.exists() else 0
    if kill_at is not None and begin:
        done = ("step done", kill_at[1])
        if any(is_event(line, done) for line in log.read_text("utf-8").splitlines()):
            return True
    with log.open("ab") as out:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "cvat_bridge.cli",
                "round",
                "--config",
                str(config),
                "--json",
            ],
            stdout=subprocess.DEVNULL,
            stderr=out,
            env={**os.environ, "CVAT_ACCESS_TOKEN": sandbox.admin_token, "OMP_NUM_THREADS": "1"},
        )
    limit = patience(PATIENCE)
    deadline = time.monotonic() + limit
    try:
        while process.poll() is None and time.monotonic() < deadline:
            lines = log.read_bytes()[begin:].decode().splitlines()
            if kill_at is not None and any(is_event(line, kill_at) for line in lines):
                if kill_at[0] == "step started":
                    time.sleep(INSIDE)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.02)
        late = process.poll() is None
    finally:
        process.kill()
        process.wait()
    assert not late, f"the round did not end within {limit:.0f} s: {log.read_text()[-3000:]}"
    if kill_at is None:
        assert process.returncode == 0, log.read_text()[-3000:]
    return False


def is_event(line: str, wanted: tuple[str, str]) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return isinstance(entry, dict) and (entry.get("event"), entry.get("step")) == wanted


def what_is_there(
    gateway: CvatClient, prepared: Prepared, folder: Path, finished: list[int]
) -> dict[str, Any]:
    """Tell the state in words that do not depend on ids: files by content, labels by name."""
    names = {number: name for name, number in prepared.labels.items()}
    ranked = [t for t in gateway.tasks(prepared.project_id) if t.id != prepared.task_id]
    files = {
        (task.id, number): hashlib.sha256(data).hexdigest()
        for task in ranked
        for number, data in gateway.frames(task.id, range(task.size))
    }
    shapes = [
        (task.id, shape, shape["frame"])
        for task in ranked
        for job in gateway.jobs(task_id=task.id)
        for shape in gateway.annotations(job.id).shapes
    ]
    with Ledger(folder / "home" / "ledger.db") as ledger:
        proposals = ledger.proposals()
        rounds = ledger.rounds()
    assert {p.shape_id for p in proposals} == {shape["id"] for _, shape, _ in shapes}
    source = gateway.media(prepared.task_id)
    return {
        "tasks": len(ranked),
        "rounds": [(row.number, row.state) for row in rounds],
        "frames": [files[key] for key in sorted(files)],
        "hidden in the source": sorted(source.frames[n].name for n in source.deleted),
        "pre_annotations": sorted(
            (
                files[task_id, frame],
                names[shape["label_id"]],
                [round(v, 1) for v in shape["points"]],
                round(shape["score"], 3),
                shape["source"],
            )
            for task_id, shape, frame in shapes
        ),
        "labels of people": sorted(
            (source.frames[shape["frame"]].name, names[shape["label_id"]], shape["points"])
            for job in finished
            for shape in gateway.annotations(job).shapes
        ),
    }
