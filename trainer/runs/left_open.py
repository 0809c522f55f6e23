"""Close runs that a killed fit left RUNNING in MLflow, at the next start.

A run's folder records its state in MLflow: mlflow-run contains {"run_id", "uri"} once the run is
created, and "ended" once it is closed. So MLflow is not contacted if no fit was killed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.errors import ConfigError
from trainer.registry.mlflow_access import mlflow_errors, quiet_mlflow
from trainer.runs.small_files import is_running, read_json, write_json

NOTE = "mlflow-run"


def note_opened(run: Path, run_id: str, uri: str) -> None:
    """Record in the folder of a run that it is open in MLflow."""
    write_json(run / NOTE, {"run_id": run_id, "uri": uri})


def note_closed(run: Path, status: str) -> None:
    """Record that the run is closed in MLflow. status: FINISHED, FAILED or KILLED."""
    write_json(run / NOTE, {**_note(run), "ended": status})


def run_id_of(run: Path) -> str | None:
    """Return MLflow's id of a run, None if it was never created there."""
    note = _note(run)
    return str(note["run_id"]) if note else None


def close_left_open(runs: Path) -> tuple[str, ...]:
    """Close in MLflow every run without a running process; return their names.

    runs: the parent folder of the runs. A completed fit is FINISHED, one with a recorded failure
    FAILED, any other KILLED. Raises RegistryError when MLflow does not respond.
    """
    return tuple(run.name for run in _left(runs) if _close(run))


def _left(runs: Path) -> Iterator[Path]:
    for path in sorted(runs.glob(f"*/{NOTE}")):
        note = _note(path.parent)
        if note and "ended" not in note and not is_running(path.parent):
            yield path.parent


def _close(run: Path) -> bool:
    """Return whether the run was open in MLflow."""
    note = _note(run)
    status = _status(run)
    with mlflow_errors(run.name, note["uri"]):
        mlflow = quiet_mlflow()
        client = mlflow.MlflowClient(note["uri"], note["uri"])
        found = client.get_run(note["run_id"]).info.status
        if found == "RUNNING":
            client.set_terminated(note["run_id"], status)
    note_closed(run, status if found == "RUNNING" else found)
    return bool(found == "RUNNING")


def _status(run: Path) -> str:
    if (run / "result.json").exists():
        return "FINISHED"
    return "FAILED" if (run / "failure.json").exists() else "KILLED"


def _note(run: Path) -> Mapping[str, Any]:
    """Return the record; empty if a killed process left it incomplete."""
    try:
        note = read_json(run / NOTE)
    except ConfigError:
        return {}
    return note if isinstance(note, dict) and {"run_id", "uri"} <= note.keys() else {}
