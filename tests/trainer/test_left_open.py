"""Runs of killed fits are closed in MLflow by whoever starts next."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from mlflow import MlflowClient

from trainer.errors import RegistryError
from trainer.registry.registry import Registry
from trainer.runs.left_open import close_left_open, note_opened
from trainer.runs.small_files import write_json


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> MlflowClient:
    """One store for all tests: making it takes seconds."""
    registry = Registry(None, tmp_path_factory.mktemp("home"))
    assert registry.keys() == []
    return MlflowClient(registry.tracking_uri, registry.tracking_uri)


def begun(client: MlflowClient, run: Path) -> str:
    """Leave a run as a fit has it that was killed while it learnt."""
    run.mkdir(parents=True)
    found = client.get_experiment_by_name("project-1")
    experiment = found.experiment_id if found else client.create_experiment("project-1")
    run_id = client.create_run(experiment, run_name=run.name).info.run_id
    note_opened(run, run_id, client.tracking_uri)
    return run_id


def test_a_killed_fit_is_closed_by_how_far_it_came_and_only_once(client, tmp_path):
    ids = {name: begun(client, tmp_path / name) for name in ("killed", "failed", "done")}
    write_json(tmp_path / "failed" / "failure.json", {"kind": "TrainingError"})
    write_json(tmp_path / "done" / "result.json", {"checkpoint": "x"})

    first, second = close_left_open(tmp_path), close_left_open(tmp_path)

    assert {name: client.get_run(run_id).info.status for name, run_id in ids.items()} == {
        "killed": "KILLED",
        "failed": "FAILED",
        "done": "FINISHED",
    }
    assert (first, second) == (("done", "failed", "killed"), ())


def test_a_fit_at_work_is_left_alone(client, tmp_path):
    run_id = begun(client, tmp_path / "busy")
    with (tmp_path / "busy" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert close_left_open(tmp_path) == ()
        assert client.get_run(run_id).info.status == "RUNNING"

    assert close_left_open(tmp_path) == ("busy",)


def test_a_registry_that_cannot_be_read_is_told_and_asked_again_next_time(tmp_path):
    run = tmp_path / "away"
    run.mkdir()
    (tmp_path / "damaged.db").write_bytes(b"not a database" * 100)
    note_opened(run, "0", f"sqlite:///{tmp_path / 'damaged.db'}")

    for _ in range(2):
        with pytest.raises(RegistryError, match="damaged"):
            close_left_open(tmp_path)


def test_half_a_note_closes_nothing(tmp_path):
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "mlflow-run").write_text('{"run_id": "a')

    assert close_left_open(tmp_path) == ()
